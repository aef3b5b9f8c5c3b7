"""Sealed payloads that are not what they should be: one flipped byte in any region, cut, lengthened, of another key, of a
letter that lies about itself. Nothing is ever injected, and the sender's site is told in the end."""

import os

from evil import CHUNK, HEADER, TAG, Evil, seal
from harness import Box, check, equal, letter, wait_for
from restante import configured

NEEDS = ("restante",)


def flipped(octets, at):
    return octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1:]


def test_damaged(bed):
    """Each kind of damage is tried five times, a second apart, then nacked as corrupt; nothing is injected."""
    box = Box(bed.b, "carol")
    body = os.urandom(60_000).hex().encode()
    chunk = CHUNK + TAG
    regions = {"magic": 0, "version of the format": 8, "suite": 9, "zero octets": 10, "version of the payload": 15, "length": 23,
               "payload id": 24, "salt": 40, "commitment": 64, "end of the commitment": 95, "first octet": HEADER,
               "first chunk": HEADER + 30_000, "end of the first chunk": HEADER + CHUNK - 1, "first tag": HEADER + CHUNK,
               "end of the first tag": HEADER + chunk - 1, "last chunk": HEADER + chunk + 5, "last tag": -TAG, "last octet": -1}
    damages = {f"flipped: {name}": (lambda s, at=at: flipped(s, at % len(s))) for name, at in regions.items()} | {
        "cut by an octet": lambda s: s[:-1], "cut after the first chunk": lambda s: s[:HEADER + chunk],
        "cut in the header": lambda s: s[:50], "empty": lambda s: b"", "an octet more": lambda s: s + b"x",
        "twice": lambda s: s + s, "chunks in another order": lambda s: s[:HEADER] + s[HEADER + chunk:] + s[HEADER:HEADER + chunk],
        "first chunk twice": lambda s: s[:HEADER + chunk] + s[HEADER:HEADER + chunk] + s[HEADER + chunk:]}

    def answer(damage, announced):
        def on_claim(request, ticket):
            sealed = damage(ticket.sealed)
            ticket.answer_claim(request, sealed, etag=None, content_length=str(len(sealed)) if announced else None)
        return on_claim
    with configured(bed.b, retry_min="1s", retry_max="1s"), Evil(bed) as evil:
        raw = letter(f"eve@{evil.domain}", "carol@b.test", body=b"\r\n".join(body[i:i + 76] for i in range(0, len(body), 76)) +
                     b"\r\n")
        # Without Content-Length the opener itself must notice; with it the length alone gives some away.
        tickets = {what: evil.ticket(raw, "carol@b.test", on_claim=answer(damage, False)).offer()
                   for what, damage in damages.items()}
        tickets |= {f"{what}, announced": evil.ticket(raw, "carol@b.test", on_claim=answer(damages[what], True)).offer()
                    for what in ("cut by an octet", "an octet more", "empty")}
        tickets["cut by an octet, announced whole"] = evil.ticket(raw, "carol@b.test", on_claim=lambda r, t: t.answer_claim(
            r, t.sealed[:-1], etag=None)).offer()
        for what, ticket in tickets.items():
            try:
                text = ticket.wait_nack("corrupt", timeout=40)
                print(f"{what}: {text}")
                equal(ticket.wait_job("ended")["state"], "nacked", "state")
                equal(len(ticket.claims), 5, "claims")
                equal(len({claim["restante-lease"] for claim in ticket.claims}), 1, "lease tokens")
            except Exception as e:
                raise AssertionError(f"{what}: {e}") from e
        equal(box.new(), [], "letters")


def test_sealed_otherwise(bed):
    """Rightly sealed, but with another key, another ticket's wrap, or another size or version than announced: corrupt as well."""
    box = Box(bed.b, "carol")

    def other_ticket(request, ticket):
        sealed, _ = seal(ticket.letter, ticket.kd, ticket.a)
        ticket.answer_claim(request, sealed)

    def other_wrap(request, ticket):
        from evil import b64
        ticket.answer_claim(request, restante_wrap=b64(seal(ticket.letter, os.urandom(32), ticket.a)[1]))

    def another_letter(request, ticket):
        from evil import b64
        sealed, wrap = seal(ticket.letter + b"more\r\n", ticket.kd, ticket.a)
        ticket.answer_claim(request, sealed, restante_wrap=b64(wrap), content_length=None)
    ways = {"another payload": other_ticket, "another wrap": other_wrap, "longer than announced": another_letter,
            "announced shorter": lambda r, t: t.answer_claim(r, restante_size=str(len(t.letter) - 1)),
            "announced longer": lambda r, t: t.answer_claim(r, restante_size=str(len(t.letter) + 1), content_length=None),
            "announced as another version": lambda r, t: t.answer_claim(r, restante_version="2")}
    with configured(bed.b, retry_min="1s", retry_max="1s"), Evil(bed) as evil:
        tickets = {what: evil.ticket(to="carol@b.test", on_claim=way).offer() for what, way in ways.items()}
        for what, ticket in tickets.items():
            try:
                print(f"{what}: {ticket.wait_nack('corrupt', timeout=40)}")
            except Exception as e:
                raise AssertionError(f"{what}: {e}") from e
        equal(box.new(), [], "letters")


def test_damaged_for_a_while(bed):
    """Damaged twice and right the third time: delivered."""
    def on_claim(request, ticket):
        ticket.answer_claim(request, flipped(ticket.sealed, 120) if len(ticket.claims) < 3 else None)
    box = Box(bed.b, "carol")
    with configured(bed.b, retry_min="1s", retry_max="1s"), Evil(bed) as evil:
        ticket = evil.ticket(to="carol@b.test", on_claim=on_claim).offer()
        ticket.wait_job("acked")
        equal((len(ticket.claims), ticket.nacks), (3, []), "claims, nacks")
        check(ticket.letter.partition(b"\r\n\r\n")[2].strip() in box.one(), "letter")


def test_letters_that_must_not_be_injected(bed):
    """The opened letter bears another author than the link host confirmed, or bare CR, bare LF or NUL: nacked at the first
    time, and nothing reaches the MTA."""
    box = Box(bed.b, "carol")
    with Evil(bed) as evil:
        good = evil.letter("carol@b.test")
        head, _, body = good.partition(b"\r\n\r\n")
        boss = good.replace(f"From: eve@{evil.domain}".encode(), b"From: boss@a.test")
        check(boss != good, "no From to change")
        letters = {
            "another From": (boss, "from-changed"),
            "two authors": (good.replace(b"From: ", b"From: boss@a.test, "), "from-changed"),
            "two From fields": (b"From: boss@a.test\r\n" + good, "from-changed"),
            "no From, another Sender": (boss.replace(b"From: ", b"Sender: "), "from-changed"),
            "bare LF": (good + b"one\ntwo\r\n", "malformed"),
            "bare CR": (good + b"one\rtwo\r\n", "malformed"),
            "smuggled end": (good + b"one\n.\nMAIL FROM:<boss@a.test>\r\n", "malformed"),
            "smuggled end with CR": (good + b"one\r\n.\rMAIL FROM:<boss@a.test>\r\n", "malformed"),
            "bare LF in the header": (head + b"\nX-Injected: yes\r\n\r\n" + body, "malformed"),
            "bare CR at the end": (good + b"\r", "malformed"),
        }
        tickets = {what: (evil.ticket(raw, "carol@b.test").offer(), reason) for what, (raw, reason) in letters.items()}
        for what, (ticket, reason) in tickets.items():
            try:
                ticket.wait_nack(reason)
                equal(len(ticket.claims), 1, "claims")
            except Exception as e:
                raise AssertionError(f"{what}: {e}") from e
        equal(box.new(), [], "letters")


def test_a_dot_line_is_only_a_line(bed):
    """A letter with CRLF . CRLF inside and SMTP commands behind it is one letter, to the byte."""
    box = Box(bed.b, "carol")
    with Evil(bed) as evil:
        raw = evil.letter("carol@b.test", b"one\r\n.\r\nMAIL FROM:<boss@a.test>\r\nRCPT TO:<dave@b.test>\r\n..\r\n.\r\n")
        evil.ticket(raw, "carol@b.test").offer().wait_job("acked")
        check(box.one().endswith(raw.replace(b"\r\n", b"\n")), "the letter is another one")


def test_larger_than_our_limit(bed):
    """A link host announces more than the stub did, and more than letter_max: nacked as too large before any body is taken; an
    announcement of 2^49 octets reserves nothing."""
    with configured(bed.b, letter_max="100k", retry_min="1s", retry_max="1s"), Evil(bed) as evil:
        big = evil.ticket(on_claim=lambda r, t: t.answer_claim(r, restante_size="200000", content_length=None)).offer()
        huge = evil.ticket(on_claim=lambda r, t: t.answer_claim(r, restante_size=str(2**49), content_length=None)).offer()
        for ticket in (big, huge):
            ticket.wait_nack("too-large")


def test_larger_than_the_stub_said(bed):
    """The stub's s= is a hint alone: what the link host says counts."""
    box = Box(bed.b, "carol")
    with Evil(bed) as evil:
        ticket = evil.ticket(to="carol@b.test")
        stub = ticket.stub().replace(f"s={len(ticket.letter)}".encode(), b"s=1")
        ticket.stub = lambda: stub
        ticket.offer().wait_job("acked")
        wait_for("the letter", lambda: box.new(), 10, 0.05)
