"""Claims, leases, resumes, confirmations: one lease at a time, the same words again are the same answers, everything durable
before it is said."""

import os
import time

from evil import b64
from harness import check, equal, letter
from puller import end, waiting
from restante import configured, wait_ticket

NEEDS = ("restante",)
BODY = b"\r\n".join(os.urandom(35).hex().encode() for _ in range(5000)) + b"\r\n"


def shifted(bed, seconds):
    bed.a.daemons.shift_clock(seconds)
    time.sleep(1.2)


def test_claimed_once(bed):
    """The same token renews and gets the same answer; another one 423 with Retry-After, and its resume 409; the lease survives
    kill -9 of fetchd."""
    with waiting(bed, letter()) as offer:
        other = b64(os.urandom(16))
        with offer.client() as client:
            first = end(offer.claim(client), 200)
            second = end(offer.claim(client), 200)
            same = {name: value for name, value in first.headers.items() if name != "date"}
            equal({name: value for name, value in second.headers.items() if name != "date"}, same, "second answer")
            equal(second.body, first.body, "second body")
            busy = end(offer.claim(client, lease=other), 423)
            check(int(busy.headers["retry-after"]) >= 1, "Retry-After")
            end(offer.resume(client, 0, lease=other), 409)
        bed.a.daemons.stop_one("fetchd", grace=0)
        bed.a.daemons.start_one("fetchd")
        with offer.client() as client:
            end(offer.claim(client, lease=other), 423, "after a crash")
            third = end(offer.claim(client), 200)
            equal((third.body, third.headers["etag"]), (first.body, first.headers["etag"]), "answer after a crash")
            end(offer.ack(client), 204)


def test_lapsed(bed):
    """Five minutes after the last octet the lease has lapsed: another may claim; each lapse doubles the Retry-After of 423."""
    with waiting(bed, letter()) as offer:
        try:
            waits = []
            for round_ in range(3):
                token, other = b64(os.urandom(16)), b64(os.urandom(16))
                with offer.client() as client:
                    end(offer.claim(client, lease=token), 200, f"claim {round_}")
                    waits.append(int(end(offer.claim(client, lease=other), 423).headers["retry-after"]))
                shifted(bed, 290 + round_ * 310)
                with offer.client() as client:
                    end(offer.claim(client, lease=other), 423, "before the end of the lease")
                shifted(bed, (round_ + 1) * 310)
            equal(waits, [waits[0], waits[0] * 2, waits[0] * 4], "Retry-After")
            with offer.client() as client:
                # The last holder's token still renews what has lapsed, and its resume does not.
                end(offer.resume(client, 0, lease=token), 409, "resume under a lapsed lease")
                end(offer.claim(client, lease=token), 200, "the last holder again")
                end(offer.ack(client), 204)
        finally:
            bed.a.daemons.shift_clock(0)


def test_ack_after_the_lapse(bed):
    """An ack needs no live lease: what the MTA has, it has."""
    with waiting(bed, letter()) as offer, offer.client() as client:
        end(offer.claim(client), 200)
        try:
            shifted(bed, 400)
            end(offer.ack(client), 204)
        finally:
            bed.a.daemons.shift_clock(0)
        equal(offer.state(), "delivered", "state")


def test_resume(bed):
    """Ranges of a record and of a file: joined they are the whole; If-Range, 416, other forms of Range."""
    with waiting(bed, letter(), letter(body=BODY)) as offers:
        for offer in offers:
            with offer.client() as client:
                end(offer.resume(client, 0), 409, "GET before any claim")
                claim = end(offer.claim(client), 200)
                whole, etag, size = claim.body, claim.headers["etag"], len(claim.body)
                joined = b""
                for start, stop in ((0, 1), (1, 96), (96, size // 2), (size // 2, size - 1), (size - 1, size)):
                    part = end(offer.resume(client, start, stop - 1, if_range=etag), 206)
                    equal(part.headers["content-range"], f"bytes {start}-{stop - 1}/{size}", "Content-Range")
                    equal(part.headers["content-length"], str(stop - start), "Content-Length")
                    equal(part.headers["etag"], etag, "ETag")
                    joined += part.body
                equal(joined, whole, "joined parts")
                rest = end(offer.resume(client, 100, if_range=etag), 206)
                equal(rest.body, whole[100:], "rest")
                end_beyond = end(offer.resume(client, 100, size + 1000), 206)
                equal(end_beyond.headers["content-range"], f"bytes 100-{size - 1}/{size}", "Content-Range")
                for fields in ({"range": "bytes=5-", "if_range": '"another"'}, {"range": None}, {"range": "bytes=-5"},
                               {"range": "bytes=1-2,4-5"}, {"range": "lines=1-2"}, {"range": "bytes=9-5"},
                               {"range": "bytes= 1-"}, {"range": "bytes=5-", "if_range": f"W/{etag}"}):
                    answer = end(offer.resume(client, 0, **fields), 200, str(fields))
                    equal(answer.body, whole, f"body with {fields}")
                for start in (size, size + 1, 2**62):
                    answer = end(offer.resume(client, start), 416)
                    equal(answer.headers["content-range"], f"bytes */{size}", "Content-Range of 416")
                end(offer.resume(client, 0, lease=None), 400)
                end(offer.ack(client), 204)
                end(offer.resume(client, 0), 410)


def test_sent_too_often(bed):
    """After lease_bodies_max bodies: 429 with Retry-After; an ack is still taken."""
    with configured(bed.a, lease_bodies_max="3"), waiting(bed, letter()) as offer, offer.client() as client:
        for _ in range(3):
            end(offer.claim(client), 200)
        check(int(end(offer.claim(client), 429).headers["retry-after"]) >= 1, "Retry-After")
        end(offer.ack(client), 204)


def test_ack(bed):
    """Never claimed: 409. Wrong digest: 422, nothing changed. Right: 204, again: 204, another digest then: not 204. All else 410
    acked."""
    with waiting(bed, letter()) as offer, offer.client() as client:
        wrong = b64(os.urandom(32))
        end(offer.ack(client, digest=wrong), 409, "ack before any claim")
        equal(offer.state(), "waiting", "state")
        end(offer.claim(client), 200)
        end(offer.ack(client, digest=wrong), 422)
        equal(offer.state(), "leased", "state")
        end(offer.ack(client), 204)
        wait_ticket(bed.a, offer.raw, "delivered", offer.recipient)
        end(offer.ack(client), 204, "ack again")
        check(offer.ack(client, digest=wrong).status != 204, "a wrong digest is fine after the ack")
        for answer in (offer.head(client), offer.claim(client), offer.resume(client, 0), offer.nack(client)):
            equal(end(answer, 410).headers["restante-reason"], "acked", "reason")


def test_nack(bed):
    """Before a claim, under the lease, under another's; again: 204; all else 410 refused; the sender's text is kept."""
    with waiting(bed, letter(), letter(), letter()) as (never, mine, others), never.client() as client:
        end(never.nack(client, lease=None, reason="denied"), 204, "nack of what was never claimed")
        end(never.nack(client, lease=None, reason="denied"), 204, "nack again")
        end(mine.claim(client), 200)
        end(mine.nack(client, reason="mta-refused", text="550%205.1.1%20no%20such%20user"), 204)
        end(mine.nack(client, reason="mta-refused", text="550%205.1.1%20no%20such%20user"), 204, "nack again")
        for answer in (mine.head(client), mine.claim(client), mine.ack(client)):
            equal(end(answer, 410).headers["restante-reason"], "refused", "reason")
        end(others.claim(client), 200)
        for lease in (b64(os.urandom(16)), None):
            end(others.nack(client, lease=lease), 409, "nack under another's lease")
        equal(others.state(), "leased", "state")
        end(others.ack(client), 204)
        equal((never.state(), mine.state(), others.state()), ("refused", "refused", "delivered"), "states")


def test_status(bed):
    """held and challenge are kept, in turn, and a claim is still possible; not while leased: 409."""
    with waiting(bed, letter()) as offer, offer.client() as client:
        end(offer.ask(client, "POST", "status", status="held"), 204)
        equal(offer.state(), "held", "state")
        end(offer.ask(client, "POST", "status", status="held"), 204, "again")
        end(offer.ask(client, "POST", "status", status="challenge", challenge=f"https://pull.{offer.recipient.partition('@')[2]}/c/123"),
            204)
        check(offer.state().startswith("challenge"), f"state {offer.state()}")
        end(offer.claim(client), 200)
        end(offer.ask(client, "POST", "status", status="held"), 409)
        end(offer.ack(client), 204)
        end(offer.ask(client, "POST", "status", status="held"), 410)


def test_expired(bed):
    """After its expiry a ticket that nobody called for is 410 expired; one that was called for and never acked 410
    unconfirmed."""
    with configured(bed.a, retention="1h"), waiting(bed, letter(), letter()) as (never, claimed):
        with never.client() as client:
            end(claimed.claim(client), 200)
        try:
            shifted(bed, 2 * 3600)
            with never.client() as client:
                equal(end(never.claim(client), 410).headers["restante-reason"], "expired", "reason")
                equal(end(claimed.claim(client), 410).headers["restante-reason"], "unconfirmed", "reason")
        finally:
            bed.a.daemons.shift_clock(0)
