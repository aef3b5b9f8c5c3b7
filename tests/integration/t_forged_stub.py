"""Forged stubs: a host or port that the sender's domain does not designate, a sender or recipient that does not agree with
the envelope, another's stub: 5xx with the reason while SMTP still waits, and no connection is made anywhere."""

import time

from harness import Box, Smtp, check, equal, letter, submit, wait_for
from http2 import LinkHost
from owner import policy
from restante import a_stub, caught, jobs, mail_records, stub_tags, ticket, zones

NEEDS = ("restante",)
EVIL = "v=restante1; h=pull.evil.test; r=1"


def offer(bed, raw, sender="restante+00@evil.test", to="bob@b.test"):
    """Offers a stub to b, one of a.test's from there, others from a stranger's address; the answer to the dot."""
    with Smtp(bed.a if sender.endswith("@a.test") else bed.x, to=bed.b.address) as smtp:
        smtp.envelope(sender, [to])
        return smtp.data(raw, *range(200, 600))


def link_host(bed):
    """Whatever connects to x is counted."""
    return LinkHost(bed.x, bed.pki.issue("pull.evil.test", ["pull.evil.test", "other.evil.test"]), lambda r: r.answer(404))


def evil_zone(bed, record=EVIL):
    return mail_records(bed.x.address, record) + [f"pull A {bed.x.address}", f"other A {bed.x.address}"]


def test_not_designated(bed):
    """Another host, another port, no designation at all, a host of somebody else's domain."""
    with link_host(bed) as host, zones(bed, evil=evil_zone(bed), none=evil_zone(bed, None)):
        before = len(jobs(bed.b))
        for url_host, sender in (("other.evil.test", "eve@evil.test"), ("pull.evil.test:8443", "eve@evil.test"),
                                 ("pull.evil.test", "eve@none.test"), ("pull.a.test", "eve@evil.test"),
                                 ("evil.test", "eve@evil.test")):
            domain = sender.partition("@")[2]
            code, text = offer(bed, a_stub(sender, host=url_host), f"restante+00@{domain}")
            equal((code, text[:5]), (550, "5.7.1"), f"answer to a stub for {url_host} from {sender}: {text}")
            check(domain in text, f"the answer does not say why: {text}")
        equal(len(jobs(bed.b)), before, "jobs")
        time.sleep(1.5)
        equal(host.connections(), 0, "connections")


def test_disagreements(bed):
    """f= of another domain than the reverse-path, t= of another recipient."""
    with link_host(bed) as host, zones(bed, evil=evil_zone(bed)):
        for raw, what in ((a_stub("alice@a.test", host="pull.evil.test"), "f= of another domain"),
                          (a_stub("eve@evil.test", "carol@b.test"), "t= of another recipient")):
            code, text = offer(bed, raw)
            equal((code, text[:5]), (550, "5.7.1"), f"answer to {what}: {text}")
        equal(host.connections(), 0, "connections")


def test_dns_fails(bed):
    """The sender's DNS is bogus: 4xx, so that a real stub comes again."""
    with zones(bed, bogus=evil_zone(bed)):
        bed.dns.break_signatures("bogus.test")
        code, text = offer(bed, a_stub("eve@bogus.test"), "restante+00@bogus.test")
        check(code // 100 == 4, f"answer: {code} {text}")


def test_a_testing_domain_is_refused_nothing(bed):
    """t=y: a wrong stub passes as ordinary mail, and no further than that."""
    box = Box(bed.b, "bob")
    with zones(bed, tries=evil_zone(bed, EVIL + "; t=y")):
        code, text = offer(bed, a_stub("eve@tries.test", host="other.evil.test"), "restante+00@tries.test")
        equal(code, 250, f"answer: {text}")
        check(b"Restante-Stub" in box.one(), "the stub is not in the mailbox")
        for rule in ("reject", "attempt"):
            with policy(bed.b, "bob@b.test", "--legacy", rule):
                code, text = offer(bed, a_stub("eve@tries.test", host="other.evil.test"), "restante+00@tries.test")
                equal((code, text[:5]), (550, "5.7.1"), f"where ordinary mail meets {rule}: {text}")


def test_another_persons_stub(bed):
    """eve gets hold of a stub of alice's to bob and sends it herself, unchanged and to another recipient: 5xx; the ticket is
    unharmed, and bob gets his letter when the stub itself comes."""
    with zones(bed, evil=evil_zone(bed)):
        box, raw = Box(bed.b, "bob"), letter()
        with caught(bed, "b.test") as sink:
            submit(bed.a, "alice@a.test", ["bob@b.test"], raw)
            mail = sink.one()
        check(stub_tags(mail.raw)["f"] == "alice@a.test", "f= of the stub")
        code, text = offer(bed, mail.raw)
        equal((code, text[:5]), (550, "5.7.1"), f"answer to eve: {text}")
        code, text = offer(bed, mail.raw, mail.sender, "carol@b.test")
        equal((code, text[:5]), (550, "5.7.1"), f"answer for carol: {text}")
        equal(box.new(), [], "letters")
        equal(offer(bed, mail.raw, mail.sender)[0], 250, "answer to the stub itself")
        check(b"with RESTANTE" in box.one()[:3000], "it did not come by Restante")


def test_altered_author(bed):
    """A stub whose From: was changed on the way: the link host answers 409 to the claim, the job ends without a nack, the
    ticket is unharmed."""
    raw = letter()
    with caught(bed, "b.test") as sink:
        submit(bed.a, "alice@a.test", ["bob@b.test"], raw)
        mail = sink.one()
    box = Box(bed.b, "bob")
    altered = mail.raw.replace(b"\r\nFrom: alice@a.test", b"\r\nFrom: boss@a.test").replace(b"From: alice@a.test\r\n",
                                                                                         b"From: boss@a.test\r\n", 1)
    check(altered != mail.raw, "the stub's From was not found")
    equal(offer(bed, altered, mail.sender)[0], 250, "answer to the altered stub")
    wait_for("the job to fail", lambda: [job for job in jobs(bed.b, state="failed") if job.get("from") == "boss@a.test"], 20, 0.2)
    equal(box.new(), [], "letters")
    equal(ticket(bed.a, raw)["state"], "waiting", "state of the ticket")


def test_unknown_ticket(bed):
    """A stub for a ticket that its link host does not know: accepted, retried, nothing delivered, nobody told."""
    box, known = Box(bed.b, "abuse"), {job["id"] for job in jobs(bed.b)}
    equal(offer(bed, a_stub("alice@a.test", "abuse@b.test", host="pull.a.test"),
                "restante+00@a.test", "abuse@b.test")[0], 250, "answer")
    wait_for("a third try", lambda: [job for job in jobs(bed.b, state="waiting") if job["id"] not in known and
                                     job["tries"] >= 2], 20, 0.2)
    equal(box.new(), [], "letters")
