"""Letters that are refused rather than altered or half kept: a header field that Postfix would cut, one that is too large;
an aborted deposit. Nothing of them remains."""

import socket
import struct
import time

from harness import Box, Refused, Smtp, check, equal, letter, submit
from restante import bare_id, configured, payload_files, status, strip_trace, tickets, wait_for

NEEDS = ("restante",)


def nothing_remains(bed, raw, before):
    equal(tickets(bed.a, message_id=bare_id(raw)), [], "tickets")
    wait_for("the store to hold what it held", lambda: (status(bed.a)["payloads"], payload_files(bed.a)) == before, 10)


def held(bed):
    """What the store holds, once earlier letters are through."""
    def settled():
        first = status(bed.a)["payloads"], payload_files(bed.a)
        time.sleep(0.5)
        return first if first == (status(bed.a)["payloads"], payload_files(bed.a)) else None
    return wait_for("earlier letters to be through", settled, 20)


def refused(bed, raw, **options):
    try:
        submit(bed.a, "alice@a.test", ["bob@b.test"], raw, **options)
    except Refused as e:
        return e.code, e.text[:5]
    return None


def test_a_field_of_59000_bytes(bed):
    """Postfix cuts a header field at 60,000 bytes for every milter: 552 5.3.4 from 59,000 on; shorter ones arrive whole."""
    before = held(bed)
    for size in (59_500, 70_000, 200_000):
        raw = letter(fields=["X-Long: " + "x" * size])
        equal(refused(bed, raw), (552, "5.3.4"), f"answer to a field of {size} bytes")
        nothing_remains(bed, raw, before)
    folded = letter(fields=["X-Long: " + "\r\n ".join(["y" * 500] * 125)])
    equal(refused(bed, folded), (552, "5.3.4"), "answer to a folded field of 62,000 bytes")
    box, raw = Box(bed.b, "bob"), letter(fields=["X-Long: " + "z" * 58_000])
    submit(bed.a, "alice@a.test", ["bob@b.test"], raw)
    equal(strip_trace(box.one()), raw.replace(b"\r\n", b"\n"), "letter with a field of 58,000 bytes")


def test_too_large(bed):
    """letter_max: 552 5.3.4, by DATA and BDAT; one that just fits goes."""
    with configured(bed.a, letter_max="200k"):
        before = held(bed)
        raw = letter(body=b"x" * 70 + b"\r\n") + (b"y" * 70 + b"\r\n") * 3000
        for bdat in (False, True):
            equal(refused(bed, raw, bdat=bdat, chunk=50_000), (552, "5.3.4"), "answer to a letter of 216,000 bytes")
            nothing_remains(bed, raw, before)
        box, raw = Box(bed.b, "bob"), letter(body=(b"y" * 70 + b"\r\n") * 2700)
        submit(bed.a, "alice@a.test", ["bob@b.test"], raw)
        equal(strip_trace(box.one()), raw.replace(b"\r\n", b"\n"), "letter of 194,400 bytes")


def test_too_large_is_too_large_for_all(bed):
    """A plain recipient beside it gets nothing either: the letter is refused as a whole."""
    with configured(bed.a, letter_max="200k"):
        box, raw = Box(bed.c, "carol"), letter(body=(b"y" * 70 + b"\r\n") * 3000)
        try:
            submit(bed.a, "alice@a.test", ["bob@b.test", "carol@c.test"], raw)
            check(False, "it was taken")
        except Refused as e:
            equal(e.code, 552, "answer")
        equal(box.new(), [], "letters at c")


def test_aborted_deposit(bed):
    """The client vanishes in the middle of the letter, small or large, by DATA or BDAT; RSET between BDATs: nothing remains."""
    before = held(bed)
    for size, bdat in ((1_000, False), (3_000_000, False), (3_000_000, True)):
        raw = letter(body=(b"z" * 78 + b"\r\n") * (size // 80))
        smtp = Smtp(bed.a, port=587)
        smtp.login("alice@a.test")
        smtp.envelope("alice@a.test", ["bob@b.test"])
        if bdat:
            smtp.socket.sendall(f"BDAT {len(raw)}\r\n".encode() + raw)
            smtp.answer("BDAT", 250)
        else:
            smtp.command("DATA", 354)
            smtp.socket.sendall(raw[:-10])
        # A reset rather than an orderly end.
        smtp.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        smtp.close()
        nothing_remains(bed, raw, before)
    with Smtp(bed.a, port=587) as smtp:
        smtp.login("alice@a.test")
        raw = letter()
        smtp.envelope("alice@a.test", ["bob@b.test"])
        smtp.socket.sendall(f"BDAT {len(raw)}\r\n".encode() + raw)
        smtp.answer("BDAT", 250)
        smtp.command("RSET", 250)
        nothing_remains(bed, raw, before)
        box = Box(bed.b, "bob")
        smtp.send("alice@a.test", ["bob@b.test"], raw)
        equal(strip_trace(box.one()), raw.replace(b"\r\n", b"\n"), "the next letter of that session")


def test_several_letters_in_a_session(bed):
    """Stub, plain, local, refused and stub again over one SMTP connection: none leaves anything for the next."""
    boxes = {to: Box(getattr(bed, to.partition("@")[2][0]), to.partition("@")[0]) for to in
             ("bob@b.test", "carol@c.test", "dave@a.test")}
    sent = {to: [] for to in boxes}
    with Smtp(bed.a, port=587) as smtp:
        smtp.login("alice@a.test")
        for _ in range(3):
            for to in boxes:
                raw = letter(to=to)
                smtp.send("alice@a.test", [to], raw)
                sent[to].append(raw.replace(b"\r\n", b"\n"))
            smtp.envelope("alice@a.test", ["bob@b.test"])
            smtp.data(letter(fields=["X-Long: " + "x" * 60_000]), 552)
    for to, box in boxes.items():
        found = box.wait(3)
        equal([sum(got.endswith(raw) for got in found) for raw in sent[to]], [1, 1, 1], f"letters of {to}")
        equal(len(found), 3, f"letters of {to}")
