"""What is said has its ends and bounds: dates that pass, tokens that belong to one organisation, the newest letters of a sender, a
domain's rule and its mailboxes', other delimiters, proxies."""

from admitting import Watch, offer_of, offered, records
from harness import equal, wait_for
from owner import attempt, clean, do, policy, rows
from restante import configured, main_cf, zones

NEEDS = ("restante",)
BOB = "bob@b.test"
NEWEST = 20  # tickets kept of one sender


def until_over(site, *arguments, sign):
    """Waits until the one row says that it is over."""
    wait_for(f"the end of {arguments}", lambda: all(row[sign[0]] == sign[1] for row in rows(site, *arguments)), 10, 0.1)


def test_dates_pass(bed):
    """An entry and a token until a date: afterwards they mean nothing, but are still listed."""
    with zones(bed, dated=records(bed, "dated")), clean(bed.b, BOB), policy(bed.b, BOB, "known"):
        do(bed.b, "allow", BOB, "ann@dated.test", "--until", "+3s")
        equal(offered(bed, "ann@dated.test"), ("accepted", "allowed"), "before its end")
        until_over(bed.b, "rules", BOB, sign=("in_force", "no"))
        equal(offered(bed, "ann@dated.test"), ("held", "stranger"), "after its end")

        address = do(bed.b, "token", "add", BOB, "--until", "+3s").strip()
        equal(offered(bed, "bea@dated.test", to=address), ("accepted", "token"), "before its end")
        wait_for("the token's end", lambda: next(row for row in rows(bed.b, "token", "list", BOB)
                                                 if row["address"] == address)["state"] == "over", 10, 0.1)
        equal(offered(bed, "bea@dated.test", to=address), ("held", "stranger"), "after its end")


def test_a_bound_token(bed):
    """It belongs to the first organisation that uses it, with all its domains; to others it is none."""
    with zones(bed, club=records(bed, "club"), other=records(bed, "other")), clean(bed.b, BOB), policy(bed.b, BOB, "known"):
        address = do(bed.b, "token", "add", BOB, "--bind").strip()
        free = do(bed.b, "token", "add", BOB).strip()
        equal(offered(bed, "ann@club.test", to=address), ("accepted", "token"), "the first")
        equal(offered(bed, "bea@club.test", to=address), ("accepted", "token"), "another of the club")
        equal(offered(bed, "eve@other.test", to=address), ("held", "stranger"), "somebody else")
        equal(offered(bed, "eve@other.test", to=free), ("accepted", "token"), "one that is not bound")
        mine = next(row for row in rows(bed.b, "token", "list", BOB) if row["address"] == address)
        equal((mine["bind"], mine["bound"], mine["used"]), ("yes", "club.test", 2), "the token")


def test_the_newest_letters_of_a_sender(bed):
    """Of one sender the newest twenty wait; the count knows of all."""
    with zones(bed, busy=records(bed, "busy")), clean(bed.b, BOB), policy(bed.b, BOB, "known"):
        for _ in range(NEWEST + 3):
            equal(offer_of(bed, "busy.test")[0], 250, "answer")
        seen = attempt(bed.b, BOB, "eve@busy.test", waiting=NEWEST)
        equal((seen["count"], seen["waiting"]), (NEWEST + 3, NEWEST), "the attempt")
        equal(len(seen["jobs"].split()), NEWEST, "jobs")
        equal(rows(bed.b, "forget", BOB, "eve@busy.test")[0]["letters"], NEWEST, "dropped")


def test_a_domain_and_its_mailboxes(bed):
    """The domain's rule holds for those that have none of their own."""
    with zones(bed, many=records(bed, "many")), clean(bed.b, BOB), policy(bed.b, "@b.test", "known"):
        equal(offered(bed, "eve@many.test"), ("held", "stranger"), "the domain's rule")
        with policy(bed.b, BOB, "open"):
            equal(offered(bed, "eve@many.test"), ("accepted", "open"), "the mailbox's own")
        equal(offered(bed, "eve@many.test", to="Abuse@B.test"), ("accepted", "role"), "a role")
        do(bed.b, "forget", BOB, "eve@many.test")


def test_another_delimiter(bed):
    """Tokens stand behind whatever the MTA takes for a delimiter."""
    with main_cf(bed.b, recipient_delimiter="+-"), configured(bed.b, recipient_delimiter="-"), \
            zones(bed, minus=records(bed, "minus")), clean(bed.b, BOB), policy(bed.b, BOB, "known"):
        address = do(bed.b, "token", "add", BOB).strip()
        equal(address[:4], "bob-", "the address")
        equal(offered(bed, "eve@minus.test", to=address), ("accepted", "token"), "with the token")
        equal(offered(bed, "eve@minus.test", to="bob-x@b.test"), ("held", "stranger"), "without")
        equal(attempt(bed.b, BOB, "eve@minus.test")["mailbox"], BOB, "whose attempt it is")


def test_proxies(bed):
    """A link host outside the domain counts if DNS names it and this site lists it, and not for less."""
    def by_proxy(name, host):
        return offer_of(bed, f"{name}.test", host=host)

    named = [line.replace("h=pull.named.test", "h=pull.proxy.test") for line in records(bed, "named")]
    with zones(bed, proxy=records(bed, "proxy"), named=named, unnamed=records(bed, "unnamed")):
        watch = Watch(bed)
        watch.expect(by_proxy("named", "pull.proxy.test"), 550, "5.7.1", "not-designated", "a stub by a proxy not listed")
        with configured(bed.b, trusted_proxies="pull.proxy.test"):
            watch = Watch(bed)
            watch.expect(by_proxy("unnamed", "pull.proxy.test"), 550, "5.7.1", "not-designated", "a stub by a proxy not named")
            watch.nothing()
            equal(by_proxy("named", "pull.proxy.test")[0], 250, "answer to one by a proxy that is both")
