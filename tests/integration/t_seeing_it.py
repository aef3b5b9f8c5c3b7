"""Seeing it: restantectl status, tickets with its filters, ticket ID, jobs, for people and as JSON; who may ask; the summary
lines of both sides."""

import json
import re

from bedlib import netns
from harness import Log, check, equal, letter, message_id, mail_log, submit, wait_for
from restante import bare_id, caught, fetchd_log, jobs, milter_log, status, stopped, ticket, tickets, wait_ticket

NEEDS = ("restante",)


def ctl(site, *arguments):
    return site.daemons.restantectl(*arguments, check=False)


def said(done):
    return done.stdout.decode()


def test_status(bed):
    """Counts by state that follow what happens; a table for people."""
    before = status(bed.a)
    with caught(bed, "b.test") as sink:
        raw = letter()
        submit(bed.a, "alice@a.test", ["bob@b.test"], raw)
        sink.one()
        now = status(bed.a)
        equal(now["tickets_waiting"] - before["tickets_waiting"], 1, "waiting tickets")
        equal(now["payloads"] - before["payloads"], 1, "payloads")
        check(now["payload_bytes"] > before["payload_bytes"], "octets of payloads")
    for key in ("version", "now", "tickets_delivered", "jobs_acked", "outbox", "disk_free_bytes"):
        check(key in now, f"{key} is not in {sorted(now)}")
    done = ctl(bed.a, "status")
    equal(done.returncode, 0, "status")
    check("tickets_waiting" in said(done) or "waiting" in said(done), f"the table: {said(done)}")


def test_filters(bed):
    """--sender --recipient --state --queue-id --message-id, alone and together, with and without --json."""
    raws = {}
    for sender, to in (("alice@a.test", "bob@b.test"), ("dave@a.test", "bob@b.test"), ("alice@a.test", "carol@b.test")):
        raw = letter(sender, to)
        raws[sender, to] = raw, submit(bed.a, sender, [to], raw)
    for raw, _ in raws.values():
        wait_ticket(bed.a, raw, "delivered")
    raw, queue_id = raws["dave@a.test", "bob@b.test"]
    mine = ticket(bed.a, raw)
    equal(mine["queue_id"], queue_id, "queue id")
    equal([t["id"] for t in tickets(bed.a, queue_id=queue_id)], [mine["id"]], "by queue id")
    equal([t["id"] for t in tickets(bed.a, message_id=message_id(raw))], [mine["id"]], "by Message-ID with its brackets")
    check(all(t["sender"] == "dave@a.test" for t in tickets(bed.a, sender="dave@a.test")), "by sender")
    check(mine["id"] in [t["id"] for t in tickets(bed.a, sender="dave@a.test", recipient="bob@b.test", state="delivered")],
          "by three at once")
    equal(tickets(bed.a, queue_id=queue_id, sender="alice@a.test"), [], "by two that disagree")
    equal(tickets(bed.a, queue_id=queue_id, state="waiting"), [], "by another state")
    text = said(ctl(bed.a, "tickets", "--queue-id", queue_id))
    for word in (mine["id"], "delivered", "dave@a.test", "bob@b.test"):
        check(word in text, f"{word} is not in {text}")
    check(ctl(bed.a, "tickets", "--state", "nonsense").returncode != 0, "a state that is none was accepted")


def test_one_ticket(bed):
    """ticket ID, by its id, by the beginning that the log shows, for people and as JSON; none and unknown ones."""
    raw = letter()
    log = fetchd_log(bed.a)
    submit(bed.a, "alice@a.test", ["bob@b.test"], raw)
    mine = wait_ticket(bed.a, raw, "delivered")
    short = log.wait(r"ticket=([0-9a-f]+).*message-id=\S*" + re.escape(bare_id(raw))).group(1)
    equal(mine["id"][4:12], short, "what the log calls the ticket: its id behind the two octets of the key's epoch")
    for identity in (mine["id"], short):
        found = json.loads(said(ctl(bed.a, "ticket", identity, "--json")))
        check(mine["id"] in json.dumps(found), f"another ticket: {found}")
    text = said(ctl(bed.a, "ticket", mine["id"]))
    for word in ("delivered", "alice@a.test", "bob@b.test", bare_id(raw)):
        check(word in text, f"{word} is not in {text}")
    check(ctl(bed.a, "ticket", "0" * 32).returncode != 0, "an unknown ticket was found")
    check(ctl(bed.a, "ticket", "xyz").returncode != 0, "nonsense was found")


def test_jobs(bed):
    """jobs at the recipient's site, with the MTA's queue id."""
    raw = letter()
    submit(bed.a, "alice@a.test", ["bob@b.test"], raw)
    wait_ticket(bed.a, raw, "delivered")
    job = wait_for("the job to be acked", lambda: next((
        job for job in jobs(bed.b, state="acked") if job["sender"] == "alice@a.test"), None), 10, 0.1)
    check(job.get("mta_queue_id"), f"no queue id of the MTA: {job}")
    check(job["id"] in said(ctl(bed.b, "jobs", "--limit", "100000")), "the job is not in the table")


def test_who_may_ask(bed):
    """root alone; fetchd away; a wrong command: a clear word each, another status than 0."""
    argv = bed.a.daemons.restantectl_argv()
    done = netns.execute(bed.a.ns, ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", *argv, "tickets"],
                         check=False)
    check(done.returncode != 0 and not done.stdout.strip(), f"nobody may read the tickets: {done}")
    check(ctl(bed.a, "nonsense").returncode == 64, "status of a wrong command")
    check(b"usage" in ctl(bed.a).stderr, "no usage")

    with stopped(bed.a, "fetchd"):
        done = ctl(bed.a, "status")
        check(done.returncode != 0 and done.stderr.strip(), f"fetchd away: {done}")


def test_summary_lines(bed):
    """One line a message and side, in Postfix's words: at a deposited, stub-sent, leased, delivered; at b accepted, delivered,
    acknowledged; the milters' own; all findable by queue id or ticket."""
    logs = {name: make(site) for name, make, site in (("a", fetchd_log, bed.a), ("b", fetchd_log, bed.b),
                                                     ("milter a", milter_log, bed.a), ("milter b", milter_log, bed.b))}
    raw = letter()
    queue_id = submit(bed.a, "alice@a.test", ["bob@b.test"], raw)
    mine = wait_ticket(bed.a, raw, "delivered")
    short = mine["id"][4:12]
    head = rf"{queue_id}: ticket={short}\S* from=<alice@a\.test> to=<bob@b\.test>"
    for pattern in (rf"{head} .*message-id=\S* size=\d+ nrcpt=1 delay=[\d.]+ status=deposited",
                    rf"ticket={short}\S* from=<alice@a\.test> to=<bob@b\.test> .*relay=\S+ .*status=stub-sent \(250 ",
                    rf"ticket={short}\S* .*status=leased", rf"ticket={short}\S* .*status=delivered"):
        logs["a"].wait(pattern)
    logs["milter a"].wait(rf"{queue_id}: ticket={short}\S* from=<alice@a\.test> to=<bob@b\.test> .*status=deposited")
    line = logs["b"].wait(r"(\w+): job=(\w+) from=<restante\S*@a\.test> to=<bob@b\.test> .*status=accepted")
    logs["milter b"].wait(rf"{line.group(1)}: .*to=<bob@b\.test> .*status=accepted")
    logs["b"].wait(rf"{line.group(1)}: job={line.group(2)}\w* from=<alice@a\.test> to=<bob@b\.test> size={len(raw)} "
                   r"host=pull\.a\.test relay=\S+ attempts=\d+ delay=[\d.]+ status=delivered \(250 2\.0\.0 Ok: queued as \w+\)")
    logs["b"].wait(rf"job={line.group(2)}\w* .*status=acknowledged")
    for name in ("a", "b"):
        deposited = logs[name].find(r"status=deposited" if name == "a" else r"status=delivered")
        equal(len(deposited), 1, f"summary lines of fetchd at {name}")


def test_escaped_text(bed):
    """What comes from the network cannot break a line of the log or a terminal."""
    log = Log(bed.a.daemons.log_file("milter"))
    flog = fetchd_log(bed.a)
    raw = letter().replace(b"Message-ID: <", b"Message-ID: <\x1b[2J\x07status=delivered.", 1)
    mlog = mail_log(bed.a)
    queue_id = submit(bed.a, "alice@a.test", ["bob@b.test"], raw)
    mlog.wait(rf"{queue_id}: removed")
    wait_for("a line", lambda: queue_id in flog.text(), 10)
    for text in (log.text(), flog.text()):
        check(not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text), "a control character is in the log")
