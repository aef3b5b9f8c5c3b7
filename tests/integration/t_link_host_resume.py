"""A body that breaks off is resumed where it ended; one that has become another one begins anew."""

import os

from evil import Evil, b64, seal
from harness import Box, check, equal
from restante import configured

NEEDS = ("restante",)


def big(evil):
    return evil.letter("dave@b.test", b"\r\n".join(os.urandom(35).hex().encode() for _ in range(6000)) + b"\r\n")


def breaking_off(at, how):
    """A claim answered up to octet `at`."""
    def on_claim(request, ticket):
        if len(ticket.claims) > 1:
            ticket.answer_claim(request)
            return
        ticket.answer_claim(request, ticket.sealed[:at], end=False)
        how(request)
    return on_claim


def by_reset(request):
    request.reset(2)


def by_tcp(request):
    import socket
    with request.connection.lock:
        request.connection.tls.shutdown(socket.SHUT_RDWR)


def check_letter(box, ticket):
    check(box.one().endswith(ticket.letter.replace(b"\r\n", b"\n")), "the letter is another one")


def test_resumed(bed):
    """Cut in the header, in a chunk, at a chunk's edge, before the last octet, by RST_STREAM and by a cut connection: one claim,
    then GET with Range from there, If-Range and the lease; the letter is right."""
    with Evil(bed) as evil:
        raw = big(evil)
        for how in (by_reset, by_tcp):
            for at in (50, 96, 96 + 65536 + 16, 100_001, len(evil.ticket(raw).sealed) - 1):
                box = Box(bed.b, "dave")
                ticket = evil.ticket(raw, "dave@b.test", on_claim=breaking_off(at, how)).offer()
                ticket.wait_job("acked")
                equal(len(ticket.claims), 1, f"claims after {how.__name__} at {at}")
                equal(len(ticket.resumes), 1, f"resumes after {how.__name__} at {at} {[r['range'] for r in ticket.resumes]} {evil.host.events}")
                resume = ticket.resumes[0]
                got = int(resume["range"].removeprefix("bytes=").removesuffix("-"))
                check(0 < got <= at, f"resumed at {resume['range']} after {at} octets")
                equal(resume.get("if-range"), ticket.etag, "If-Range")
                equal(resume.get("restante-lease"), ticket.claims[0]["restante-lease"], "lease of the resume")
                check_letter(box, ticket)


def test_resumed_again_and_again(bed):
    """Broken off three times in a row, a bit further each time."""
    def on_resume(request, ticket):
        start = int(request.headers["range"].removeprefix("bytes=").rstrip("-"))
        size = len(ticket.sealed)
        if len(ticket.resumes) > 2:
            ticket.answer_resume(request)
            return
        request.answer(206, ticket.fields() + [("content-length", str(size - start)),
                                               ("content-range", f"bytes {start}-{size - 1}/{size}")],
                       ticket.sealed[start:start + 50_000], end=False)
        by_reset(request)
    box = Box(bed.b, "dave")
    with Evil(bed) as evil:
        ticket = evil.ticket(big(evil), "dave@b.test", on_claim=breaking_off(70_000, by_reset), on_resume=on_resume).offer()
        ticket.wait_job("acked")
        equal((len(ticket.claims), len(ticket.resumes)), (1, 3), "claims, resumes")
        check_letter(box, ticket)


def test_the_whole_again(bed):
    """The host answers a resume with 200 and the whole, same ETag: right as well."""
    def on_resume(request, ticket):
        request.answer(200, ticket.fields() + [("content-length", str(len(ticket.sealed)))], ticket.sealed)
    box = Box(bed.b, "dave")
    with Evil(bed) as evil:
        ticket = evil.ticket(big(evil), "dave@b.test", on_claim=breaking_off(70_000, by_reset), on_resume=on_resume).offer()
        ticket.wait_job("acked")
        equal((len(ticket.claims), len(ticket.resumes)), (1, 1), "claims, resumes")
        check_letter(box, ticket)


def test_another_payload_meanwhile(bed):
    """The ETag has changed (the sender replaced the letter): claimed anew, and the new letter arrives, no mixture."""
    def on_resume(request, ticket):
        if ticket.letter_before is None:
            ticket.letter_before = ticket.letter
            ticket.letter = ticket.letter.replace(b"Subject: A letter", b"Subject: Another")
            ticket.sealed, ticket.wrap = seal(ticket.letter, ticket.kd, ticket.a)
            ticket.etag = f'"{b64(os.urandom(9))}"'
        ticket.answer_resume(request)
    box = Box(bed.b, "dave")
    with configured(bed.b, retry_min="1s", retry_max="1s"), Evil(bed) as evil:
        ticket = evil.ticket(big(evil), "dave@b.test", on_claim=breaking_off(70_000, by_reset), on_resume=on_resume)
        ticket.letter_before = None
        ticket.offer().wait_job("acked")
        equal(len(ticket.claims), 2, "claims")
        check_letter(box, ticket)


def test_never_whole(bed):
    """A connection that is lost each time, also after each resume, is no broken payload: never nacked, and delivered when it
    holds at last."""
    def lost(start, request, ticket):
        request.send(ticket.sealed[start:start + 5000])
        by_tcp(request)

    def on_claim(request, ticket):
        if len(ticket.claims) > 6:
            ticket.answer_claim(request)
            return
        ticket.answer_claim(request, b"", end=False)
        lost(0, request, ticket)

    def on_resume(request, ticket):
        request.answer(404)
    box = Box(bed.b, "dave")
    with configured(bed.b, retry_min="1s", retry_max="1s"), Evil(bed) as evil:
        ticket = evil.ticket(big(evil), "dave@b.test", on_claim=on_claim, on_resume=on_resume).offer()
        ticket.wait_job("acked", timeout=50)
        equal((len(ticket.claims), ticket.nacks), (7, []), "claims, nacks")
        check_letter(box, ticket)


def test_wrong_ranges(bed):
    """206 for another range, of another size, or with fewer octets than it says; 416, 409, 404, 500: nothing wrong is
    delivered, and it is claimed anew until it is right."""
    def ranged(start, end, size, drop=0):
        def on_resume(request, ticket):
            n = int(request.headers["range"].removeprefix("bytes=").rstrip("-"))
            total = len(ticket.sealed)
            first, last, whole = start(n, total), end(n, total), size(n, total)
            request.answer(206, ticket.fields() + [("content-range", f"bytes {first}-{last}/{whole}")],
                           ticket.sealed[first:last + 1 - drop])
        return on_resume
    ways = {
        "from the start": ranged(lambda n, t: 0, lambda n, t: t - 1, lambda n, t: t),
        "one octet later": ranged(lambda n, t: n + 1, lambda n, t: t - 1, lambda n, t: t),
        "one octet earlier": ranged(lambda n, t: n - 1, lambda n, t: t - 1, lambda n, t: t),
        "of another size": ranged(lambda n, t: n, lambda n, t: t - 1, lambda n, t: t + 5),
        "a part only": ranged(lambda n, t: n, lambda n, t: n + 9, lambda n, t: t),
        "no Content-Range": lambda r, t: r.answer(206, t.fields(), t.sealed[-10:]),
        "409": lambda r, t: r.answer(409), "416": lambda r, t: r.answer(416), "404": lambda r, t: r.answer(404),
        "500": lambda r, t: r.answer(500), "another key's octets": lambda r, t: r.answer(
            206, t.fields() + [("content-range", f"bytes {r.headers['range'][6:]}{len(t.sealed) - 1}/{len(t.sealed)}")],
            os.urandom(len(t.sealed) - int(r.headers["range"][6:-1]))),
    }
    box = Box(bed.b, "dave")
    with configured(bed.b, retry_min="1s", retry_max="1s"), Evil(bed) as evil:
        raw = big(evil)
        tickets = {what: evil.ticket(raw, "dave@b.test", on_claim=breaking_off(70_000, by_reset), on_resume=way).offer()
                   for what, way in ways.items()}
        for what, ticket in tickets.items():
            try:
                ticket.wait_job("acked")
                equal(len(ticket.claims), 2, "claims")
            except Exception as e:
                raise AssertionError(f"{what}: {e}") from e
        for delivered in box.wait(len(ways)):
            check(delivered.endswith(raw.replace(b"\r\n", b"\n")), "a letter is another one")
