"""A letter goes round: submitted at a, announced by a stub, called for by b, in bob's Maildir to the byte; a knows."""

import json

from harness import Box, check, daemon_log, equal, letter, mail_log, message_id, submit, untraced, wait_for


def listing(site, *arguments):
    """What `restantectl ... --json` says, as a list."""
    done = site.daemons.restantectl(*arguments, "--json")
    (rows,) = json.loads(done.stdout).values()
    return rows


def ticket_of(site, raw, state=None):
    """The one ticket of a letter; waits for a state."""
    name = message_id(raw).strip("<>")

    def found():
        rows = listing(site, "tickets", "--message-id", name)
        return rows if rows and (state is None or all(row["state"] == state for row in rows)) else None
    rows = wait_for(f"the ticket of {name} to be {state}", found, 20, 0.1)
    equal(len(rows), 1, "tickets")
    return rows[0]


def status(site):
    return listing(site, "status")[0]


def test_a_letter_goes_round(bed):
    """An ordinary letter: only a stub travels by SMTP, the letter arrives to the byte, a has destroyed its copy."""
    box, stubs = Box(bed.b, "bob"), mail_log(bed.b)
    logs = daemon_log(bed.a, "fetchd"), daemon_log(bed.b, "fetchd")
    before = status(bed.a)
    raw = letter(body=b"A line of the letter.\r\n" * 4000)
    submit(bed.a, "alice@a.test", ["bob@b.test"], raw)
    untraced(box.one(), raw)
    ticket = ticket_of(bed.a, raw, "delivered")
    equal((ticket["sender"], ticket["recipient"], ticket["letter_bytes"]), ("alice@a.test", "bob@b.test", len(raw)))
    job = [row for row in listing(bed.b, "jobs") if ticket["id"] in row["message_id"]][0]
    equal((job["state"], job["letter_bytes"]), ("acked", len(raw)), "the job at b")
    equal(status(bed.a)["payloads"], before["payloads"], "payloads at a")
    short = ticket["id"][4:12]
    for word in ("deposited", "stub-sent"):
        logs[0].wait(rf"ticket={short} from=<alice@a.test> to=<bob@b.test> .*status={word}")
    logs[1].wait(r"from=<restante\+[0-9a-f]{48}@a.test> to=<bob@b.test> .*status=accepted")
    check(not stubs.find(r"size=\d{5}.*letters-out"), "only the stub came by SMTP")


def test_large_letter_goes_round(bed):
    """The same with 5 MB, which lie in a file of their own."""
    box = Box(bed.a, "carol")
    raw = letter("dave@b.test", "carol@a.test", body=b"0123456789abcdef" * 4 + b"\r\n" + b"x" * 70 + b"\r\n" * 70000 * 33)
    submit(bed.b, "dave@b.test", ["carol@a.test"], raw)
    untraced(box.one(timeout=60), raw)
    ticket_of(bed.b, raw, "delivered")


def test_plain_recipients_get_plain_mail(bed):
    """c.test takes no stubs: its part of a mixed letter goes by SMTP, to the byte."""
    boxes = Box(bed.b, "bob"), Box(bed.c, "carol"), Box(bed.a, "dave")
    raw = letter(to="bob@b.test, carol@c.test")
    submit(bed.a, "alice@a.test", ["bob@b.test", "carol@c.test", "dave@a.test"], raw)
    for box in boxes:
        untraced(box.one(), raw)
    ticket_of(bed.a, raw, "delivered")


def test_unknown_recipient_is_told_once(bed):
    """The stub to a user who does not exist bounces at b; alice gets one notice with her letter's header."""
    box = Box(bed.a, "alice")
    raw = letter(to="nobody@b.test", subject="to nobody")
    submit(bed.a, "alice@a.test", ["nobody@b.test"], raw)
    notice = box.one(containing=b"nobody@b.test")
    for part in (b"multipart/report", b"Action: failed", b"Status: 5.1.1", b"Subject: to nobody",
                 b"Final-Recipient: rfc822; nobody@b.test"):
        check(part in notice, f"{part!r} is in the notice: {notice!r}")
    ticket_of(bed.a, raw, "bounced")


def test_ticket_is_shown_by_its_short_name(bed):
    """`restantectl ticket` takes what the log calls ticket=, and the table is aligned."""
    raw = letter(to="bob@b.test")
    submit(bed.a, "alice@a.test", ["bob@b.test"], raw)
    ticket = ticket_of(bed.a, raw, "delivered")
    shown = bed.a.daemons.restantectl("ticket", ticket["id"][4:12]).stdout.decode()
    check(message_id(raw).strip("<>") in shown and "delivered" in shown, shown)
    lines = bed.a.daemons.restantectl("tickets", "--recipient", "bob@b.test").stdout.decode().splitlines()
    at = lines[0].index("STATE")
    check(all(line[at - 1] == " " and line[at] != " " for line in lines[1:]), "columns are aligned")
