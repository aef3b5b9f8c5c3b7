"""Another letter in the place of one that nobody has collected yet: it is what arrives, with a higher version, and nothing of the
old one is left; what is no letter, or another's, changes nothing."""

import os
import tempfile

from harness import Box, check, equal, letter, lf, submit, unique, wait_for
from owner import attempt, clean, ctl, do, policy, refused, rows
from puller import end, waiting
from recall import event_names, lying, one, room, word
from restante import bare_id, configured, payload_files, status, strip_trace, ticket, tickets, wait_ticket

NEEDS = ("restante",)
BOB = "bob@b.test"
ALICE = "alice@a.test"


def edited(raw, body, **changes):
    """The letter as its sender changed it: another body, other fields (subject="...", from_="...")."""
    head = raw.partition(b"\r\n\r\n")[0]
    for name, value in changes.items():
        name = name.rstrip("_").replace("_", "-").title().encode()
        lines = [line for line in head.split(b"\r\n") if not line.startswith(name + b":")]
        head = b"\r\n".join(lines + ([name + b": " + value.encode()] if value is not None else []))
    return head + b"\r\n\r\n" + body


def test_before_pickup(bed):
    """b keeps the letter of a stranger; it is replaced from a file with LF line ends; b's user lets it in and gets the new one alone."""
    with clean(bed.b, BOB), policy(bed.b, BOB, "known"):
        box = Box(bed.b, "bob")
        raw = letter(body=b"the old text\r\n")
        new = edited(raw, b"the new text\r\nof two lines\r\n", subject="Corrected")
        submit(bed.a, ALICE, [BOB], raw)
        attempt(bed.b, BOB, ALICE)
        mine = wait_ticket(bed.a, raw, "held")
        with tempfile.NamedTemporaryFile(suffix=".eml") as file:
            file.write(lf(new))
            file.flush()
            row = one(bed.a, "replace", mine["id"], file.name)
        equal((row["outcome"], row["done"], row["version"], row["text"]), ("replaced", "yes", 2, "version 2"), "the answer")
        shown = ticket(bed.a, raw)
        equal((shown["version"], shown["letter_bytes"]), (2, len(new)), "the ticket")
        check("replaced" in event_names(bed.a, mine["id"]), "what happened")
        wait_for("b to see that it was changed", lambda: "changed" in str(rows(bed.b, "attempts", BOB)), 20, 0.1)
        do(bed.b, "allow", BOB, ALICE)
        equal(strip_trace(box.one()), lf(new), "the letter that arrived")
        wait_ticket(bed.a, raw, "delivered")


def test_what_is_served(bed):
    """Whoever has the stub gets the new letter under the new version; the payload file of the
    old one is gone."""
    old, text = letter(body=b"old " * 100000 + b"\r\n"), b"new " * 90000 + b"\r\n"
    before = set(payload_files(bed.a))
    with waiting(bed, old) as offer, offer.client() as client:
        files = set(payload_files(bed.a)) - before
        equal(len(files), 1, "payload files")
        end(offer.head(client), 204)
        new = edited(old, text)
        one(bed.a, "replace", ticket(bed.a, old)["id"], "-", input=new)
        mine = set(payload_files(bed.a)) - before
        check(len(mine) == 1 and mine != files, f"payload files: {files}, then {mine}")
        answer = end(offer.ask(client, "POST", "claim", **offer.claim_fields()), 200)
        equal(offer.open(answer), new, "the letter that is served")
        equal(int.from_bytes(answer.body[12:16], "big"), 2, "its version")
        check(b"old " not in answer.body, "the old letter")
        end(offer.ack(client), 204)
        row = one(bed.a, "replace", ticket(bed.a, old)["id"], "-", input=new, status=1)
        equal((row["outcome"], row["confirmed"]), ("collected", "yes"), "after delivery")


def test_forms_of_a_file(bed):
    """LF and CRLF line ends, a missing last one, standard input, eight bits; a second time: the next version."""
    raw = letter()
    with lying(bed, raw) as (mine,):
        want = edited(raw, "Grüße\r\n".encode())
        for version, text in enumerate((want, lf(want), want[:-2], lf(want)[:-1]), 2):
            row = one(bed.a, "replace", mine["id"], "-", input=text)
            equal((row["version"], row["letter_bytes"]), (version, len(want)), "version and size")


def test_what_is_no_letter(bed):
    """No change, whatever is wrong with the file."""
    raw = letter()
    with lying(bed, raw) as (mine,):
        cases = {
            b"": "does not begin with a header",
            b"hello\n": "does not begin with a header",
            b"\nbody\n": "does not begin with a header",
            b"From alice@a.test Sat Nov 21 10:00:00 2026\n" + lf(raw): "does not begin with a header",
            lf(edited(raw, b"x\r\n", from_=None)): "no From",
            lf(edited(raw, b"x\r\n", from_="eve@a.test")): "the old one from alice@a.test",
            lf(edited(raw, b"x\r\n", from_="alice@c.test")): "the old one from alice@a.test",
            lf(edited(raw, b"x\r\n", bcc="carol@c.test")): "Bcc",
            lf(edited(raw, b"x\r\n", return_path="<eve@a.test>")): "Return-Path",
            lf(raw).replace(b"\n", b"\r\n", 1): "line 2",
            raw.replace(b"\r\n", b"\n", 3): "line 4",
            lf(raw) + b"a\rb\n": "bare CR",
            lf(raw) + b"a\0b\n": "NUL",
            lf(raw).replace(b"Subject", b"no field\nSubject"): "is no field",
            lf(edited(raw, b"x\r\n", x_long="x" * 59000)): "longer than",
        }
        for text, why in cases.items():
            said_why = refused(bed.a, "replace", mine["id"], "-", input=text)
            check(why in said_why, f"{text[:80]!r}: {said_why}")
        check("No such file" in refused(bed.a, "replace", mine["id"], "/nonexistent"), "a missing file")
        check("directory" in refused(bed.a, "replace", mine["id"], "/").lower(), "a folder")
        equal(ctl(bed.a, "replace", mine["id"]).returncode, 64, "status without a file")
        row = ticket(bed.a, raw)
        equal((row["version"], row["letter_bytes"], row["state"]), (1, len(raw), "waiting"), "the ticket")
    with configured(bed.a, letter_max="100K", payload_record_max="64K"), lying(bed, letter()) as (mine,):
        text = refused(bed.a, "replace", mine["id"], "-", input=edited(raw, b"x" * 70 * 1500 + b"\r\n"))
        check("larger than letter_max" in text, text)


def test_several_recipients(bed):
    """One of them, then all: who gets which, and that what nobody needs any more is gone."""
    raw = letter()
    with lying(bed, raw, "u1", "u2") as mine:
        names = [row["recipient"] for row in mine]
        before = status(bed.a)["payloads"]
        row = one(bed.a, "replace", "--message-id", bare_id(raw), "--recipient", names[1], "-", input=edited(raw, b"second\r\n"))
        equal((row["recipient"], row["version"]), (names[1], 2), "the one")
        equal(status(bed.a)["payloads"], before + 1, "payloads of two letters")
        found = word(bed.a, "replace", "--message-id", bare_id(raw), "-", input=edited(raw, b"third\r\n"))
        equal(sorted((row["recipient"], row["outcome"], row["version"]) for row in found),
              [(name, "replaced", 3) for name in names], "all")
        equal(status(bed.a)["payloads"], before, "payloads of one letter")


def test_which_letter(bed):
    """An unknown one, an ambiguous id, somebody else's: as for retract."""
    with room(bed) as lie, configured(bed.a, system_users_domain="a.test"):
        raw = letter()
        mine, _ = lie(raw, "u1", "u2")
        check("no ticket" in refused(bed.a, "replace", "f" * 32, "-", input=raw), "an unknown id")
        check("more than one letter" in refused(bed.a, "replace", mine["id"][:4], "-", input=raw), "an ambiguous id")
        refused(bed.a, "replace", mine["id"], "-", input=raw, user="news", status=77)
        own = letter("news@a.test")
        his, = lie(own, sender="news@a.test", login=False)
        equal(one(bed.a, "replace", his["id"], "-", input=edited(own, b"new\r\n"), user="news")["version"], 2, "his own")
        equal([t["version"] for t in tickets(bed.a, message_id=bare_id(raw))], [1, 1], "the other's versions")


def test_forbidden(bed):
    """replace_forbidden does not forbid to take back."""
    raw = letter()
    with configured(bed.a, replace_forbidden="a.test"), lying(bed, raw) as (mine,):
        row = one(bed.a, "replace", mine["id"], "-", input=raw, status=1)
        equal((row["outcome"], ticket(bed.a, raw)["version"]), ("forbidden", 1), "replace")
        equal(one(bed.a, "retract", mine["id"])["outcome"], "retracted", "retract")


def test_no_room(bed):
    """A quota that is full refuses a larger letter, with the figures, and takes one that is no larger."""
    writer = f"{unique('writer')}@a.test"
    raw = letter(writer, body=b"x" * 3000 + b"\r\n")
    with configured(bed.a, quota_sender="4K"), lying(bed, raw, sender=writer, login=False) as (mine,):
        text = refused(bed.a, "replace", mine["id"], "-", input=edited(raw, b"x" * 4100 + b"\r\n"), status=os.EX_TEMPFAIL)
        check(f"quota is used up: {writer}: 1 letters" in text, text)
        equal(ticket(bed.a, raw)["version"], 1, "version")
        equal(one(bed.a, "replace", mine["id"], "-", input=edited(raw, b"x" * 2900 + b"\r\n"))["version"], 2, "a smaller one")
