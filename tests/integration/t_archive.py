"""`journal`: the archive gets a complete copy of each letter, to the byte under its envelope, before anything of it leaves, and
one copy however many recipients it has. Nothing leaves without its copy; a failing archive is the postmaster's business, never
the sender's.
"""

import re

from harness import Box, Smtp, check, daemon_log, equal, letter, submit, untraced, wait_for
from restante import Sink, answered_at_rcpt, bare_id, caught, configured, fetchd_log, mail_records, ticket, tickets, wait_ticket, zones

NEEDS = ("restante",)
FAR = "v=restante1; h=pull.far.test; r=1"
ENVELOPE = re.compile(rb"(?:^X-Envelope-(?:From|To): <.*>\r?\n)+", re.MULTILINE)


def copied(copy, raw, sender="alice@a.test", recipients=("bob@b.test",)):
    """A copy in the archive: the letter to the byte, on top of it the envelope."""
    found, = ENVELOPE.findall(copy)
    want = [f"X-Envelope-From: <{sender}>"] + [f"X-Envelope-To: <{one}>" for one in sorted(recipients)]
    lines = found.decode().splitlines()
    equal(lines[:1] + sorted(lines[1:]), want, "envelope")
    untraced(copy.replace(found, b"", 1), raw)


def test_the_copy_comes_first(bed):
    """To a mailbox of the site: one copy for three recipients (dave is a Bcc), delivered before the first stub; it is no stub
    itself, and is not copied again."""
    archive, boxes, raw = Box(bed.a, "dave"), [Box(bed.b, user) for user in ("bob", "carol", "dave")], letter(
        to="bob@b.test, carol@b.test", body=b"For the archive.\r\n.\r\n" + b"x" * 70000 + b"\r\n")
    with configured(bed.a, journal="dave@a.test"):
        log = fetchd_log(bed.a)
        submit(bed.a, "alice@a.test", ["bob@b.test", "carol@b.test", "dave@b.test"], raw)
        for box in boxes:
            untraced(box.one(containing=bare_id(raw).encode()), raw)
        copy = archive.one(containing=bare_id(raw).encode())
        copied(copy, raw, recipients=["bob@b.test", "carol@b.test", "dave@b.test"])
        check(copy.startswith(b"Return-Path: <postmaster@a.test>"), f"reverse-path of the copy: {copy[:80]!r}")
        text = log.text()
        equal(text.count("status=archived"), 1, "copies")
        check(text.index("status=archived") < text.index("status=stub-sent"), "a stub went before the copy")
        for one in tickets(bed.a, message_id=bare_id(raw)):
            wait_ticket(bed.a, raw, "delivered", one["recipient"])
        again = letter(to="bob@b.test")
        submit(bed.a, "alice@a.test", ["bob@b.test"], again)
        archive.one(containing=bare_id(again).encode())


def test_reports_are_not_copied(bed):
    """What fetchd tells a sender, and plain mail, is no business of the archive's."""
    archive, box, raw = Box(bed.a, "dave"), Box(bed.a, "carol"), letter("carol@a.test", "nobody@b.test")
    with configured(bed.a, journal="dave@a.test"):
        submit(bed.a, "carol@a.test", ["nobody@b.test"], raw)
        box.one(containing=bare_id(raw).encode())
        submit(bed.a, "carol@a.test", ["carol@c.test"], letter("carol@a.test", "carol@c.test"))
        equal(len(archive.wait(1)), 1, "copies")
        copied(archive.one(), raw, "carol@a.test", ["nobody@b.test"])


def test_an_archive_elsewhere(bed):
    """In a domain that takes stubs: the copy goes there whole, by plain mail."""
    with Sink(bed.x) as sink, zones(bed, far=mail_records(bed.x.address, FAR)), configured(bed.a, journal="archive@far.test"):
        raw = letter(body=b"Far away.\r\n")
        submit(bed.a, "alice@a.test", ["bob@b.test"], raw)
        mail = sink.one()
        equal((mail.sender, mail.recipients[0][0]), ("postmaster@a.test", "archive@far.test"), "envelope")
        check(mail.raw.endswith(raw), "the copy is not the letter")
        check(ENVELOPE.search(mail.raw), "no envelope")
        check("NOTIFY=FAILURE" in mail.recipients[0][1] and "RET=HDRS" in mail.mail, f"parameters: {mail.mail} {mail.recipients}")
        wait_ticket(bed.a, raw, "delivered")


def test_nothing_leaves_without_it(bed):
    """The MTA does not take the copy, for now or for good: no stub, the sender hears nothing, the administrator's log does;
    once it does, all goes its way."""
    archive, told, box = Box(bed.a, "dave"), Box(bed.a, "carol"), Box(bed.b, "bob")
    with configured(bed.a, journal="dave@a.test"):
        for answer in ("450 4.2.0 later", "550 5.2.1 no more mail here"):
            raw, log = letter("carol@a.test"), daemon_log(bed.a, "fetchd")
            with answered_at_rcpt(bed.a, "dave@a.test", answer):
                submit(bed.a, "carol@a.test", ["bob@b.test"], raw)
                log.wait(rf"journal=<dave@a.test> .*status=archive-deferred \({answer[:3]}")
                t = ticket(bed.a, raw)
                equal((t["state"], t.get("stub_sent")), ("waiting", None), "state")
                check("dave" not in t["text"] and "archive" not in t["text"], f"what the sender might hear: {t['text']}")
                equal(log.find(r"status=stub-sent"), [], "stubs")
            untraced(box.one(containing=bare_id(raw).encode(), timeout=30), raw)
            archive.one(containing=bare_id(raw).encode())
            wait_ticket(bed.a, raw, "delivered")
    equal(told.new(), [], "reports to the sender")


def test_a_bounce_of_the_copy_goes_to_the_postmaster(bed):
    """The archive's host takes no such mailbox: the postmaster gets the bounce, the sender nothing."""
    postmaster, told, box = Box(bed.a, "postmaster"), Box(bed.a, "carol"), Box(bed.b, "bob")
    raw = letter("carol@a.test")
    with configured(bed.a, journal="nobody@c.test"):
        submit(bed.a, "carol@a.test", ["bob@b.test"], raw)
        untraced(box.one(containing=bare_id(raw).encode()), raw)
        bounce = postmaster.one(containing=bare_id(raw).encode())
        check(b"nobody@c.test" in bounce and b"Hello." not in bounce, f"the bounce: {bounce!r}")
    equal(told.new(), [], "reports to the sender")


def test_letters_of_before(bed):
    """A letter whose stub went out before there was an archive is copied when it is called for, before it is handed over."""
    archive, box, raw = Box(bed.a, "dave"), Box(bed.b, "bob"), letter()
    with caught(bed, "b.test") as sink:
        submit(bed.a, "alice@a.test", ["bob@b.test"], raw)
        stub = sink.one()
    wait_ticket(bed.a, raw, "waiting")
    with configured(bed.a, journal="dave@a.test"):
        log = fetchd_log(bed.a)
        with Smtp(bed.a, bed.b.address, source=bed.a.address) as smtp:
            smtp.send(stub.sender, ["bob@b.test"], stub.raw)
        copied(wait_for("the copy", lambda: archive.new(bare_id(raw).encode()), 20, 0.05)[0], raw)
        untraced(box.one(containing=bare_id(raw).encode(), timeout=90), raw)
        text = log.text()
        check(text.index("status=archived") < text.index("status=leased"), f"it was handed over first: {text}")
