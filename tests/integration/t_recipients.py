"""One, many and mixed recipients: each who takes stubs gets one of his own, the others get the letter by plain SMTP untouched
to the byte; Bcc never leaks; always_bcc still gets the whole letter."""

import re

from harness import Box, check, equal, letter, lf, submit, untraced, wait_for
from restante import Sink, bare_id, caught, mail_records, main_cf, strip_trace, stub_tags, tickets, zones

NEEDS = ("restante",)
FAR = "v=restante1; h=pull.far.test; r=1"


def by_restante(raw):
    return b"with RESTANTE" in raw[:3000]


def test_mixed(bed):
    """b.test by stub, c.test plain and to the byte, a.test locally; the same letter for all."""
    at_b, at_c, at_a = Box(bed.b, "bob"), Box(bed.c, "carol"), Box(bed.a, "dave")
    raw = letter(body=b"..dots\r\n.\r\ntrailing  \r\n\r\n\r\n", fields=["X-Odd:no blank", "Cc: carol@c.test, dave@a.test"])
    submit(bed.a, "alice@a.test", ["bob@b.test", "carol@c.test", "dave@a.test"], raw)
    got = at_b.one()
    check(by_restante(got), "b did not get it by Restante")
    equal(strip_trace(got), lf(raw), "the letter at b")
    for box in (at_c, at_a):
        got = box.one()
        untraced(got, raw)
        check(not by_restante(got), "a plain recipient's copy came by Restante")
    equal([t["recipient"] for t in tickets(bed.a, message_id=bare_id(raw))], ["bob@b.test"], "tickets")


def test_many(bed):
    """Fifty recipients of one domain: fifty stubs, each with one recipient and keys of his own, one payload."""
    people = [f"user{i}@far.test" for i in range(50)]
    with Sink(bed.x) as sink, zones(bed, far=mail_records(bed.x.address, FAR)):
        raw = letter(to="undisclosed-recipients:;")
        submit(bed.a, "alice@a.test", people, raw)
        mails = sink.wait(50)
    equal(sorted(mail.recipients[0][0] for mail in mails), sorted(people), "recipients of the stubs")
    check(all(len(mail.recipients) == 1 for mail in mails), "a stub with two recipients")
    check(all(stub_tags(mail.raw)["t"] == mail.recipients[0][0] for mail in mails), "a stub for another recipient")
    for tag in ("u", "a", "d"):
        equal(len({stub_tags(mail.raw)[tag] for mail in mails}), 50, f"different values of {tag}=")
    equal(len({mail.sender for mail in mails}), 50, "different reverse-paths")
    found = tickets(bed.a, message_id=bare_id(raw))
    equal(sorted(t["recipient"] for t in found), sorted(people), "recipients of the tickets")


def test_all_users_of_b(bed):
    """One letter to all six users of b, one of them twice: each gets it once."""
    users = ("alice", "bob", "carol", "dave", "postmaster", "abuse")
    boxes, raw = [Box(bed.b, user) for user in users], letter()
    submit(bed.a, "alice@a.test", [f"{user}@b.test" for user in users] + ["bob@B.test"], raw)
    for box in boxes:
        equal(strip_trace(box.one()), lf(raw), f"letter of {box.user}")
    equal(len(tickets(bed.a, message_id=bare_id(raw))), len(users), "tickets")


def test_bcc_never_leaks(bed):
    """Neither a stub nor a letter names the other recipients: not those of a Bcc field (sendmail -t), not those of the
    envelope alone."""
    with caught(bed, "b.test") as sink:
        at_c, raw = Box(bed.c, "carol"), letter(to="carol@c.test", fields=["Cc: dave@b.test", "Bcc: secret@b.test, hidden@c.test"])
        done = bed.a.mta.sendmail("-i", "-t", "-f", "alice@a.test", letter=raw.replace(b"\r\n", b"\n"))
        equal(done.returncode, 0, "sendmail's status")
        raw2 = letter(to="carol@c.test")
        submit(bed.a, "alice@a.test", ["carol@c.test", "secret@b.test"], raw2)
        mails = sink.wait(3)
        copies = at_c.wait(2)
    equal(sorted(mail.recipients[0][0] for mail in mails), ["dave@b.test", "secret@b.test", "secret@b.test"], "stubs")
    for mail in mails:
        me = mail.recipients[0][0].encode()
        for name in (b"secret@b.test", b"hidden@c.test", b"dave@b.test", b"carol@c.test"):
            check(name == me or name not in mail.raw, f"the stub of {me} names {name}")
    for copy in copies:
        check(not re.search(rb"secret@|hidden@", copy), "a plain copy names a Bcc recipient")


def test_bcc_letter_itself(bed):
    """The letter that a Bcc recipient at b calls for shows no Bcc field, and the others' copy is the same."""
    boxes = [Box(bed.b, "bob"), Box(bed.b, "dave")]
    raw = letter(to="bob@b.test", fields=["Bcc: dave@b.test"])
    bed.a.mta.sendmail("-i", "-t", "-f", "alice@a.test", letter=raw.replace(b"\r\n", b"\n"))
    copies = [strip_trace(box.one()) for box in boxes]
    equal(copies[0], copies[1], "the two copies")
    check(b"dave@" not in copies[0] and b"Bcc" not in copies[0], "the Bcc recipient is named")


def test_always_bcc_gets_the_whole_letter(bed):
    """always_bcc of the sender's site, also when nobody is left in the envelope; and no copy of the stub."""
    with main_cf(bed.a, always_bcc="postmaster@a.test"):
        at_b, archive, raw = Box(bed.b, "bob"), Box(bed.a, "postmaster"), letter(body=b"for the archive\r\n")
        submit(bed.a, "alice@a.test", ["bob@b.test"], raw)
        equal(strip_trace(at_b.one()), lf(raw), "letter at b")
        untraced(archive.one(), raw)
        check(not archive.new(b"Restante-Stub"), "the archive got the stub")


def test_an_alias_beside_a_stub(bed):
    """A local alias that leads to local people, with a stub recipient beside it."""
    boxes = [Box(bed.a, "carol"), Box(bed.a, "dave"), Box(bed.b, "bob")]
    raw = letter(to="team@a.test, bob@b.test")
    submit(bed.a, "alice@a.test", ["team@a.test", "bob@b.test"], raw)
    for box in boxes:
        equal(strip_trace(box.one()), lf(raw), f"letter of {box.user}")
    wait_for("a's queue to be empty", lambda: not bed.a.mta.queued(), 10)
