"""Answers of a link host that a puller must not fall for: redirects, compression, endless bodies, missing fields, ends.
Nothing is injected, and only what the protocol calls final ends a job."""

import calendar
import gzip
import threading
import time

from evil import Evil
from harness import Box, check, equal, wait_for
from http2 import LinkHost
from restante import configured

NEEDS = ("restante",)


def seconds(text):
    return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))


def endless(request, ticket):
    """Announces what is right and goes on sending."""
    ticket.answer_claim(request, ticket.sealed, end=False, content_length=None)
    while True:
        request.send(b"x" * 65536)


def test_served_rightly(bed):
    """The test's own link host, serving by the book, gets its letter delivered and acked: what follows fails for its own
    reason."""
    box = Box(bed.b, "bob")
    with Evil(bed) as evil:
        for size in (0, 10, 65536, 200_000):
            ticket = evil.ticket(evil.letter(body=b"y" * 70 + b"\r\n" + b"z" * 60 + b"\r\n" * (size // 2))).offer()
            ticket.wait_job("acked")
            equal(len(ticket.claims), 1, "claims")
            equal(len(ticket.acks), 1, "acks")
            check(ticket.nacks == [], "nacks")
        equal(len(box.wait(4, containing=evil.domain.encode())), 4, "letters")


def test_wrong_answers(bed):
    """Each of these is tried again, and nothing is delivered."""
    box = Box(bed.b, "bob")
    with LinkHost(bed.x, bed.pki.issue("other.evil.test", ["other.evil.test"]), lambda r: r.answer(200, [], b"caught"),
                  port=0) as trap:
        elsewhere = f"https://pull.a.test:{trap.listener.getsockname()[1]}/"
        answers = {
            "redirect": lambda r, t: r.answer(302, [("location", elsewhere)]),
            "redirect to itself": lambda r, t: r.answer(307, [("location", t.path + "/claim")]),
            "alternative service": lambda r, t: r.answer(503, [("alt-svc", f'h2="{bed.x.address}:443"')]),
            "endless body": endless,
            "gzip": lambda r, t: t.answer_claim(r, gzip.compress(t.sealed), content_encoding="gzip", content_length=None),
            "identity announced as gzip": lambda r, t: t.answer_claim(r, content_encoding="gzip"),
            "no wrap": lambda r, t: t.answer_claim(r, restante_wrap=None),
            "malformed wrap": lambda r, t: t.answer_claim(r, restante_wrap="AAAA"),
            "no size": lambda r, t: t.answer_claim(r, restante_size=None),
            "another sender": lambda r, t: t.answer_claim(r, restante_sender="boss@a.test"),
            "another recipient": lambda r, t: t.answer_claim(r, restante_recipient="carol@b.test"),
            "201": lambda r, t: r.answer(201, t.claim_fields(), t.sealed),
            "204": lambda r, t: r.answer(204, t.claim_fields(content_length=None)),
            "206": lambda r, t: r.answer(206, t.claim_fields(), t.sealed),
            "404": lambda r, t: r.answer(404),
            "500": lambda r, t: r.answer(500, [], b"oops"),
            "a page for people": lambda r, t: r.answer(404, [], b"<p>" * 1_000_000),
            "head of 200 KB": lambda r, t: r.answer(200, t.claim_fields() + [(f"x-{n}", "y" * 1000) for n in range(200)],
                                                    t.sealed),
        }
        with configured(bed.b, retry_min="1s", retry_max="1s"), Evil(bed) as evil:
            tickets = {what: evil.ticket(on_claim=answer).offer() for what, answer in answers.items()}
            for what, ticket in tickets.items():
                try:
                    job = ticket.wait_job("waiting", tries=2, timeout=40)
                except Exception as e:
                    raise AssertionError(f"{what}: {e}") from e
                print(f"{what}: {job['text']}")
                check(job["text"], f"{what}: the job does not say why")
                equal((ticket.acks, ticket.nacks), ([], []), f"confirmations after {what}")
                check(all("accept-encoding" not in claim or claim["accept-encoding"] == "identity" for claim in ticket.claims),
                      "the puller asks for compression")
                check(all("cookie" not in claim and "referer" not in claim for claim in ticket.claims), "odd fields")
            equal(trap.connections(), 0, "connections to where a redirect led")
            equal(box.new(evil.domain.encode()), [], "letters")
            # The host is no worse for it: the same tickets, served rightly, arrive.
            for ticket in tickets.values():
                ticket.on_claim = None
            for ticket in tickets.values():
                ticket.wait_job("acked", timeout=60)
        equal(len(box.wait(len(answers), containing=evil.domain.encode())), len(answers), "letters in the end")


def test_final_answers(bed):
    """410 ends the job whatever it says, 410 acked as done; 409 ends it without a nack. No second claim follows."""
    box = Box(bed.b, "bob")
    with Evil(bed) as evil:
        ends = {(410, reason): ("acked" if reason == "acked" else "failed")
                for reason in ("acked", "refused", "retracted", "expired", "bounced", "plain", "unconfirmed", "nonsense")}
        ends[(409, None)] = "failed"
        tickets = {}
        for (status, reason), state in ends.items():
            fields = [("restante-reason", reason)] if reason else []
            tickets[evil.ticket(on_claim=lambda r, t, s=status, f=fields: r.answer(s, f)).offer()] = (status, reason, state)
        for ticket, (status, reason, state) in tickets.items():
            job = ticket.wait_job("ended")
            equal(job["state"], state, f"state after {status} {reason}")
            if reason not in (None, "acked"):
                check(reason in job["text"], f"the job does not say that it was {reason}: {job['text']}")
        equal([len(t.claims) for t in tickets], [1] * len(tickets), "claims")
        equal([(t.acks, t.nacks) for t in tickets], [([], [])] * len(tickets), "confirmations")
        equal(box.new(evil.domain.encode()), [], "letters")


def test_retry_after(bed):
    """423, 429 and 503 with Retry-After: the next claim keeps to it, though the site's own times are shorter."""
    with configured(bed.b, retry_min="1s", retry_max="1s"), Evil(bed) as evil:
        def first_busy(status):
            def answer(request, ticket):
                if len(ticket.claims) == 1:
                    request.answer(status, [("retry-after", "4")])
                else:
                    ticket.answer_claim(request)
            return answer
        tickets = {status: evil.ticket(on_claim=first_busy(status)).offer() for status in (423, 429, 503)}
        for status, ticket in tickets.items():
            ticket.wait_job("acked")
            pause = ticket.claims[1]["at"] - ticket.claims[0]["at"]
            check(3 <= pause <= 8, f"{status}: came again after {pause:.1f} s instead of 4")
            equal(ticket.claims[0]["restante-lease"], ticket.claims[1]["restante-lease"], "lease token")


def test_never_the_first_time(bed):
    """404 until the stub's expiry: the job ends as failed, nothing is delivered, nobody is told."""
    box = Box(bed.b, "bob")
    with Evil(bed) as evil:
        ticket = evil.ticket(on_claim=lambda r, t: r.answer(404), expires_in=3600).offer()
        ticket.wait_job("waiting", tries=2)
        try:
            bed.b.daemons.shift_clock(3700)
            job = ticket.wait_job("ended", timeout=20)
        finally:
            bed.b.daemons.shift_clock(0)
        equal(job["state"], "failed", "state")
        equal((ticket.acks, ticket.nacks), ([], []), "confirmations")
        equal(box.new(evil.domain.encode()), [], "letters")


def test_not_restante(bed):
    """A host that answers without `Restante: 1` is left alone for an hour: no second connection, whatever other tickets name
    it, and the certificate-checked key reached it once at most. What waits meanwhile was not tried, and is due when that hour
    is over, not before."""
    seen = threading.Event()

    def stranger(request):
        request.answer(200, [("restante", None)], b"welcome")
        seen.set()

    def bare(request):
        request.connection.headers(request.stream, [(":status", "200"), ("server", "somebody")], end=False)
        request.send(b"welcome", end=True)
        seen.set()
    with configured(bed.b, retry_min="1s", retry_max="1s"), Evil(bed, handler=bare) as evil:
        first = evil.ticket().offer()
        wait_for("the first call", seen.is_set, 20, 0.05)
        first.wait_job("waiting", tries=1)
        second = evil.ticket().offer()
        for ticket, tries in ((first, 1), (second, 0)):
            job = wait_for("a job to be put off for an hour", lambda t=ticket: (
                (job := t.job()) and 3000 < seconds(job["next"]) - seconds(job["created"]) < 5000 and job), 20)
            equal((job["tries"], "left alone" in job["text"]), (tries, tries == 0), "tries, and what the last one came to")
        equal(evil.host.connections(), 1, "connections")
        equal(len(evil.seen()), 1, "requests")
