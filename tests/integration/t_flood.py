"""Floods of stubs: rates with their reasons, a name server that answers after 4.9 s, nothing kept of what is not verified,
and a mailbox's bounded ring of contact attempts. Other people's letters arrive meanwhile."""

import contextlib
import threading

from crowd import SlowDns, crowd
from harness import Box, Smtp, check, equal, letter, submit
from owner import attempt, clean, policy, rows as attempts
from restante import a_stub, bare_id, configured, mail_records, main_cf, status, zones

NEEDS = ("restante",)
CHANCES = 4  # stubs a minute of an organisation from a network, whatever others use up (RATE_CHANCES)


def offer(bed, domain, *, source=None, sender="eve", to="bob@b.test", host=None, raw=None):
    """One stub from x to a user of b; the answer."""
    raw = raw or a_stub(sender=f"{sender}@{domain}", to=to, host=host or f"pull.{domain}")
    with Smtp(bed.x, to=bed.b.address, source=source) as smtp:
        smtp.envelope(f"restante+00@{domain}", [to])
        return smtp.data(raw, *range(200, 600))


def forge(bed, domain):
    """Stubs in the domain's name from many networks, more than its rate and their chances."""
    codes = [offer(bed, domain, source=f"198.18.{n}.1")[0] for n in range(8) for _ in range(CHANCES + 1)]
    check(codes[0] == 550 and 450 in codes, f"answers to forgeries: {codes}")


def ordinary(host, site, sender, to):
    """One ordinary message to a user of the site; the answer."""
    with Smtp(host, to=site.address) as smtp:
        smtp.envelope(sender, [to])
        return smtp.data(letter(sender, to), *range(200, 600))


def a_letter_arrives(bed):
    box, raw = Box(bed.b, "bob"), letter()
    submit(bed.a, "alice@a.test", ["bob@b.test"], raw)
    box.wait(containing=bare_id(raw).encode())


def rows(bed):
    """What the store of b counts, but for the disk it lies on."""
    return {name: number for name, number in status(bed.b).items() if name.startswith(("tickets", "jobs", "outbox", "payload"))}


def test_rates(bed):
    """A bucket a client network, domain, organisation and link host: what is too much is 450 with the bucket's name, others are
    judged as ever."""
    crowd(bed)
    other = {"source": "198.18.200.1", "domain": "other.test"}
    for name, text, stub in (
            ("client", "client's network", lambda n: {"source": f"198.18.1.{n}", "domain": f"c{n}.test"}),
            ("domain", "sender's domain", lambda n: {"source": f"198.18.{n}.1", "domain": "many.test"}),
            ("organisation", "organisation", lambda n: {"source": f"198.18.{n}.1", "domain": f"m{n}.many.test"}),
            ("host", "link host", lambda n: {"source": f"198.18.{n}.1", "domain": f"h{n}.test", "host": "pull.many.test"})):
        with configured(bed.b, **{f"rate_{name}": "3"}):
            for n in range(3):
                code, said = offer(bed, **stub(n))
                check(code != 450, f"rate_{name}: answer {n} is {code} {said}")
            for _ in range(CHANCES):
                offer(bed, **stub(3))
            code, said = offer(bed, **stub(3))
            check((code, "4.7.1" in said or "4.7.0" in said, text in said) == (450, True, True), f"rate_{name}: {code} {said}")
            check(offer(bed, **other)[0] != 450, f"rate_{name}: another sender is held up")
            a_letter_arrives(bed)


def test_forgeries_do_not_hold_up_whom_they_name(bed):
    """Stubs in a domain's name from many networks empty the buckets of its name, but not for the network from which it was
    proven."""
    crowd(bed)
    with configured(bed.b, rate_domain="3", rate_organisation="3", rate_host="3"), \
            main_cf(bed.a, smtp_address_preference="ipv4"):
        a_letter_arrives(bed)
        forge(bed, "a.test")
        a_letter_arrives(bed)


def test_a_flooded_domain_is_proven_for_the_first_time(bed):
    """Forgeries from many networks that began before the domain ever wrote, or before fetchd started, do not stop its own stub;
    and once that has proven the domain, no more of them are stopped than its rate says."""
    crowd(bed)
    record = "v=restante1; h=pull.ring.test; r=1"
    with configured(bed.b, admission="known", rate_domain="6", rate_organisation="6", rate_host="6"), \
            zones(bed, ring=mail_records(bed.x.address, record)), clean(bed.b, "dave@b.test"):
        forge(bed, "ring.test")
        for n in range(CHANCES + 2):
            code, said = offer(bed, "ring.test", to="dave@b.test")
            equal(code, 250, f"answer to stub {n} of the domain's own ({said})")


def test_ordinary_mail_leaves_stubs_their_rate(bed):
    """A domain's ordinary mail, which anybody may send who uses the same provider, is put off by a rate of its own."""
    record = "v=restante1; h=pull.ring.test; r=1"
    with configured(bed.b, admission="known", rate_domain="3"), policy(bed.b, "dave@b.test", "known", "--legacy", "attempt"), \
            zones(bed, ring=mail_records(bed.x.address, record)), clean(bed.b, "dave@b.test"):
        equal(offer(bed, "ring.test", to="dave@b.test")[0], 250, "answer to the first stub")
        said = [ordinary(bed.x, bed.b, "eve@ring.test", "dave@b.test") for _ in range(4)]
        equal([code for code, _ in said], [250, 250, 250, 450], f"answers to ordinary mail: {said}")
        check("sender's domain" in said[3][1], f"the last answer: {said[3]}")
        for n in range(3):
            equal(offer(bed, "ring.test", to="dave@b.test")[0], 250, f"answer to stub {n}")


def test_nothing_is_kept_of_what_is_not_verified(bed):
    """Forged, malformed and mismatched stubs leave no row."""
    crowd(bed)
    a_letter_arrives(bed)
    before = rows(bed)
    for n in range(20):
        source = f"198.18.{n}.1"
        for domain, options in (("a.test", {}), (f"n{n}.test", {}), ("a.test", {"host": "pull.evil.test"}),
                                ("a.test", {"raw": a_stub(sender="eve@other.test")}), ("a.test", {"raw": a_stub(extra="; z=1")})):
            code, said = offer(bed, domain, source=source, **options)
            check(code // 100 in (4, 5), f"{domain}: {code} {said}")
    equal(rows(bed), before, "rows")


def test_ordinary_mail_that_would_be_kept(bed):
    """It has the rates of stubs: what comes too fast is put off and leaves nothing; what is not kept has none."""
    def send(to):
        return ordinary(bed.c, bed.b, "erin@c.test", to)
    with configured(bed.b, rate_client="3"), policy(bed.b, "dave@b.test", "known", "--legacy", "attempt"), \
            clean(bed.b, "dave@b.test"):
        for n in range(3):
            equal(send("dave@b.test")[0], 250, f"answer {n}")
        before = rows(bed)
        code, said = send("dave@b.test")
        check(code == 450 and "client's network" in said, f"the fourth: {code} {said}")
        equal(rows(bed), before, "rows")
        equal(send("bob@b.test")[0], 250, "answer for a mailbox that takes ordinary mail")


def test_a_slow_name_server(bed):
    """Forty stubs at once, from as many networks, of as many organisations whose name server answers after 4.9 s: each is
    deferred, and a letter from a domain not in the cache arrives while they wait."""
    crowd(bed)
    answers = []

    def attack(n):
        with contextlib.suppress(OSError):
            answers.append(offer(bed, f"s{n}.github.io", source=f"198.19.{n}.1"))
    with SlowDns(bed), configured(bed.b):
        before = rows(bed)
        attackers = [threading.Thread(target=attack, args=(n,)) for n in range(40)]
        for one in attackers:
            one.start()
        a_letter_arrives(bed)
        for one in attackers:
            one.join()
        equal([code for code, _ in answers], [451] * 40, "answers")
        code, said = offer(bed, "s0.github.io", source="198.19.100.1")
        equal(code, 451, f"answer to the next of the same organisation ({said})")
        equal({name: now - before[name] for name, now in rows(bed).items() if now != before[name]}, {"jobs_acked": 1}, "new rows")


def test_stubs_of_one_domain_at_once(bed):
    """Many letters of one domain that is not in the cache arrive together: one look-up serves all, none is deferred."""
    box = Box(bed.b, "bob")
    with configured(bed.b):
        letters = [letter() for _ in range(12)]
        senders = [threading.Thread(target=submit, args=(bed.a, "alice@a.test", ["bob@b.test"], raw)) for raw in letters]
        for one in senders:
            one.start()
        for one in senders:
            one.join()
        box.wait(len(letters))


def test_the_ring(bed):
    """A mailbox for people it knows keeps attempts_max senders, however many write."""
    rings = {f"ring{n}": mail_records(bed.x.address, f"v=restante1; h=pull.ring{n}.test; r=1") for n in range(6)}
    with configured(bed.b, admission="known", attempts_max="5"), zones(bed, **rings), clean(bed.b, "dave@b.test"):
        for n in range(12):
            code, said = offer(bed, f"ring{n // 2}.test", sender=f"e{n}", to="dave@b.test")
            equal(code, 250, f"answer to stranger {n} ({said})")
        there = [one["sender"] for one in attempts(bed.b, "attempts", "dave@b.test")]
        equal(len(there), 5, f"senders in the ring: {there}")


def test_a_flood_of_one_domain_leaves_others_in_the_ring(bed):
    """A domain that has a quarter of the ring takes the places of its own senders alone, also while there is room."""
    record = "v=restante1; h=pull.flood.test; r=1"
    with configured(bed.b, admission="known", attempts_max="8"), zones(bed, flood=mail_records(bed.x.address, record)), \
            clean(bed.b, "dave@b.test"):
        others = ["alice@a.test", "bob@a.test"]
        for sender in others:
            submit(bed.a, sender, ["dave@b.test"], letter(sender, "dave@b.test"))
            attempt(bed.b, "dave@b.test", sender)
        for n in range(20):
            equal(offer(bed, "flood.test", sender=f"e{n}", to="dave@b.test")[0], 250, f"answer to stranger {n}")
        there = [one["sender"] for one in attempts(bed.b, "attempts", "dave@b.test")]
        equal((len(there), [one for one in others if one not in there]), (4, []), f"the ring: {there}")
