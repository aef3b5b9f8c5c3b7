"""The recipient's word, in its order: deny, allow, token, people he wrote to, the mailbox's rule. Stubs come from x for domains of
the test's own; what becomes of each is in the log, the store and the letters."""

import time

from admitting import Watch, offer, offered, records, stub
from evil import Evil
from harness import Box, Smtp, check, equal, letter, submit
from owner import attempt, clean, do, policy, rows
from restante import a_stub, bare_id, jobs, wait_ticket, zones

NEEDS = ("restante",)
BOB = "bob@b.test"


def test_entries(bed):
    """By address, domain, what is below it, list, envelope; until a date; deny goes before allow, and finds its man however he is
    spelled."""
    names = ("one", "two", "lists")
    with zones(bed, **{name: records(bed, name) for name in names}), clean(bed.b, BOB), policy(bed.b, BOB, "known"):
        for sender, until in (("ann@one.test", "+1d"), ("two.test", None), (".x.test", None), ("envelope:sender@one.test", None)):
            do(bed.b, "allow", BOB, sender, *(["--until", until] if until else []))
        do(bed.b, "allow", BOB, "<dev.lists.test>")
        do(bed.b, "deny", BOB, "foe@two.test")
        for sender, author, list_id, want in (
                ("ann@one.test", None, None, ("accepted", "allowed")),
                ("ANN@one.test", "Ann <Ann@One.Test>", None, ("accepted", "allowed")),
                ("eve@one.test", None, None, ("held", "stranger")),
                ("eve@one.test", "ann@two.test", None, ("held", "unaligned")),
                ("any@two.test", None, None, ("accepted", "allowed")),
                ("foe@two.test", None, None, ("denied", "denied")),
                ("eve@one.test", '"foe"@two.test', None, ("denied", "denied")),
                ("sender@one.test", "whoever@else.test", None, ("accepted", "allowed")),
                ("bounces@lists.test", "whoever@else.test", "dev.lists.test", ("accepted", "list")),
                ("bounces@one.test", "whoever@else.test", "dev.lists.test", ("held", "unaligned"))):
            equal(offered(bed, sender, author, list_id=list_id), want, f"{author or sender} by {sender}, list {list_id}")
        equal(offered(bed, "eve@one.test", to="postmaster@b.test"), ("accepted", "role"), "a stranger to postmaster")


def test_hostile_spellings(bed):
    """Quotes, UTF-8, more than 64 octets, + in odd places in From and f=: judged, shown, and nobody else's."""
    with zones(bed, one=records(bed, "one")), clean(bed.b, BOB), policy(bed.b, BOB, "known"):
        do(bed.b, "allow", BOB, "ann@one.test")
        long = "a" * 80 + "@one.test"
        for author, want in (('"ann"@one.test', "allowed"), ('"a\\nn"@one.test', "allowed"), ('"ann "@one.test', "stranger"),
                             ("ann+x@one.test", "stranger"), ("+ann@one.test", "stranger"), (long, "stranger"),
                             ("ann(x)@one.test", "allowed"), ("(ann@one.test) eve@one.test", "stranger"),
                             ('"ann@one.test" <eve@one.test>', "stranger")):
            equal(offered(bed, "eve@one.test", author)[1], want, f"From: {author}")
        watch = Watch(bed)
        for author in ("ann@one.test, eve@one.test", "", "ann", "undisclosed:;"):
            raw = stub("eve@one.test").replace(b"From: <eve@one.test>", f"From: {author}".encode(), 1)
            watch.expect(offer(bed, raw, "restante+00@one.test"), 550, "5.6.0", "form", f"From: {author}")
        watch.nothing()


def test_tokens(bed):
    """In any case of letters, for N letters; guesses meet the mailbox's rule, and after ten of them silence."""
    with zones(bed, one=records(bed, "one")), clean(bed.b, BOB), policy(bed.b, BOB, "known"):
        token = do(bed.b, "token", "add", BOB, "--letters", "2").strip().partition("+")[2].partition("@")[0]
        equal(offered(bed, "eve@one.test", to=f"bob+{token.upper()}@b.test"), ("accepted", "token"), "the token")
        for guess in range(10):
            equal(offered(bed, "eve@one.test", to=f"bob+guess{guess}@b.test"), ("held", "stranger"), "a guess")
        equal(offered(bed, "eve@one.test", to=f"bob+{token}@b.test"), ("held", "stranger"), "the token after ten guesses")
        mine = next(row for row in rows(bed.b, "token", "list", BOB) if row["token"] == token)
        equal(mine["used"], 1, "uses")


def test_people_he_wrote_to(bed):
    """Who was written to may write back, for as long as the mailbox wants it so."""
    with clean(bed.b, BOB), policy(bed.b, BOB, "known"):
        submit(bed.b, BOB, ["carol@a.test"], letter(BOB, "carol@a.test"))
        raw = letter("carol@a.test")
        submit(bed.a, "carol@a.test", [BOB], raw)
        wait_ticket(bed.a, raw, "delivered")
        check(any(job.get("admission") == "correspondent" for job in jobs(bed.b)), "why it was taken")
        do(bed.b, "policy", BOB, "--correspondents", "off")
        submit(bed.a, "carol@a.test", [BOB], letter("carol@a.test"))
        attempt(bed.b, BOB, "carol@a.test")


def test_what_waits_from_people_he_writes_to(bed):
    """It is called for when he writes to them, a stub's letter and ordinary mail; not what another name stands in, whether it came
    before or after what has their own."""
    with clean(bed.b, BOB), policy(bed.b, BOB, "known", "--legacy", "attempt"):
        box = Box(bed.b, "bob")
        raw, mine, plain = letter("carol@a.test"), letter("dave@a.test"), letter("erin@c.test")
        foreign = {"carol@a.test": letter("ceo@elsewhere.test"), "dave@a.test": letter("carol@elsewhere.test")}
        for count, (sender, one) in enumerate((("carol@a.test", raw), ("dave@a.test", foreign["dave@a.test"]),
                                               ("carol@a.test", foreign["carol@a.test"]), ("dave@a.test", mine))):
            submit(bed.a, sender, [BOB], one)
            attempt(bed.b, BOB, sender, waiting=1 + count // 2)
        with Smtp(bed.c, to=bed.b.address) as smtp:
            smtp.send("erin@c.test", [BOB], plain)
        attempt(bed.b, BOB, "erin@c.test")
        submit(bed.b, BOB, ["carol@a.test", "dave@a.test", "erin@c.test"], letter(BOB, "carol@a.test"))
        wait_ticket(bed.a, raw, "delivered")
        wait_ticket(bed.a, mine, "delivered")
        arrived = b"".join(box.wait(3))
        for one in (raw, mine, plain):
            check(bare_id(one).encode() in arrived, f"{bare_id(one)} is not there")
        check(b'restante=pass reason="correspondent"' in arrived, "why it was taken")
        for one in foreign.values():
            check(bare_id(one).encode() not in arrived, "what another name stands in came too")
        equal(sorted((one["sender"], one["from"], one["waiting"], one["aligned"]) for one in rows(bed.b, "attempts", BOB)),
              [("carol@a.test", "ceo@elsewhere.test", 1, "no"), ("dave@a.test", "carol@elsewhere.test", 1, "no")], "who waits")


def test_denied(bed):
    """In silence nothing is kept and nobody called; told, the link host gets a nack and keeps its letter."""
    with Evil(bed) as evil, clean(bed.b, BOB), policy(bed.b, BOB, "open"):
        do(bed.b, "deny", BOB, evil.domain)
        watch = Watch(bed)
        silent = evil.ticket().offer()
        watch.log.wait(r"reason=denied\b.*status=denied")
        watch.nothing()
        time.sleep(0.5)
        equal((silent.claims, silent.nacks), ([], []), "what the link host heard")
        do(bed.b, "policy", BOB, "--denial", "told")
        told = evil.ticket().offer()
        told.wait_nack("denied")
        equal(told.claims, [], "claims")


def test_a_repeated_stub_of_one_who_is_admitted_by_now(bed):
    """The rule has become open since: when the stub comes again, what waits is called for."""
    with Evil(bed) as evil, clean(bed.b, BOB):
        box = Box(bed.b, "bob")
        with policy(bed.b, BOB, "known"):
            ticket = evil.ticket()
            raw = ticket.stub()
            def send():
                with Smtp(bed.x, to=bed.b.address) as smtp:
                    smtp.send(ticket.sender, [BOB], raw)
            send()
            attempt(bed.b, BOB, f"eve@{evil.domain}")
            equal(ticket.claims, [], "claims")
        send()
        check(b"with RESTANTE" in box.one(), "it did not come by Restante")
        found = box.one().replace(b"\n\t", b" ")
        check(b'restante=pass reason="open"' in found, f"results: {found}")


def test_explain(bed):
    """A replay shows every check, keeps nothing, and marks the one that decides."""
    with zones(bed, unproven=records(bed, "unproven", spf="v=spf1 -all")), clean(bed.b, BOB), policy(bed.b, BOB, "known"):
        watch = Watch(bed)
        found = rows_of_explain(bed, "--from", "eve@unproven.test", "--to", BOB, "--client", bed.x.address, "--stub", "pull.unproven.test")
        verdicts = {row["check"]: (row["verdict"], row.get("reason", "")) for row in found}
        equal(verdicts["spf"], ("refuse", "spf-fail"), "SPF")
        equal(verdicts["rule"], ("wait", "unverified"), "the rule")
        equal(verdicts["end"], ("refuse", "spf-fail"), "the whole")
        equal([row["check"] for row in found if row.get("decides")], ["spf"], "what decides")
        watch.nothing()
        found = rows_of_explain(bed, "--from", "eve@unproven.test", "--to", BOB, "--client", bed.x.address)
        equal((found[-1]["verdict"], found[-1]["reason"]), ("admit", "legacy-accept"), "ordinary mail")


def rows_of_explain(bed, *arguments):
    import json
    from owner import ctl, said
    done = ctl(bed.b, "explain", *arguments, "--json")
    check(done.returncode in (0, 2), f"explain: {said(done)}")
    return json.loads(done.stdout)["explain"]
