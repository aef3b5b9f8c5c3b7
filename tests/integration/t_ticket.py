"""restantectl ticket: all that happened to a letter, in order and with its time; who called, why it was refused; when the next look
is due; what an id's beginning means."""

import json

from harness import check, equal, letter, submit, wait_for
from owner import attempt, clean, ctl, do, policy, refused, rows, said
from recall import event_names, lying, room
from restante import configured, wait_ticket

NEEDS = ("restante",)
BOB = "bob@b.test"


def whole(site, identity):
    """(the ticket, its events)"""
    found = json.loads(do(site, "ticket", identity, "--json"))
    equal(len(found["ticket"]), 1, "tickets")
    return found["ticket"][0], found["events"]


def test_a_delivered_letter(bed):
    """Deposited, stub sent, called for by b, delivered; nothing is due any more."""
    raw = letter()
    queue_id = submit(bed.a, "alice@a.test", [BOB], raw)
    mine = wait_ticket(bed.a, raw, "delivered")
    names = event_names(bed.a, mine["id"])
    equal([name for name in names if name != "stub-sent"], ["waiting", "leased", "delivered"], "what happened")
    check("stub-sent" in names, f"the stub: {names}")
    row, events = whole(bed.a, mine["id"])
    check("next_look" not in row, f"a next look at a delivered letter: {row}")
    details = {event["event"]: event.get("detail", "") for event in events}
    check(queue_id in details["waiting"], f"the queue id: {details}")
    check(bed.b.address in details["leased"] or bed.b.address6 in details["leased"], f"who called: {details}")
    text = do(bed.a, "ticket", mine["id"])
    for part in ("EVENT", "DETAIL", "called for by", "stub-sent", "delivered"):
        check(part in text, f"{part} is not in {text}")


def test_a_waiting_letter(bed):
    """The next look is due some time ahead."""
    with lying(bed, letter()) as (mine,):
        row = whole(bed.a, mine["id"])[0]
        check(row.get("next_look", "") > row["stub_sent"], f"the next look: {row}")


def test_held_then_refused(bed):
    """The other side keeps it, then refuses: both are there, with its reason."""
    with clean(bed.b, BOB), policy(bed.b, BOB, "known", "--denial", "told"):
        raw = letter()
        submit(bed.a, "alice@a.test", [BOB], raw)
        attempt(bed.b, BOB, "alice@a.test")
        mine = wait_ticket(bed.a, raw, "held")
        do(bed.b, "deny", BOB, "alice@a.test")
        wait_ticket(bed.a, raw, "refused")
        wait_for("the notice", lambda: "notice-sent" in event_names(bed.a, mine["id"]), 10, 0.1)
        names = event_names(bed.a, mine["id"])
        equal([name for name in names if name != "stub-sent"], ["waiting", "held", "refused", "notice-sent"], "what happened")
        _, events = whole(bed.a, mine["id"])
        check("denied" in next(event["detail"] for event in events if event["event"] == "refused"), f"the reason: {events}")


def test_what_an_id_means(bed):
    """In upper case, by its beginning, as the log calls it; several are listed, with --json too; what is none is said so."""
    with lying(bed, letter(), "u1", "u2") as (mine, _):
        for identity in (mine["id"], mine["id"].upper(), mine["id"][4:12], mine["id"][:20]):
            equal(whole(bed.a, identity)[0]["id"], mine["id"], f"the ticket of {identity}")
        common = mine["id"][:4]  # the epoch of the key: the same in all tickets
        done = ctl(bed.a, "ticket", common)
        check(done.returncode == 1 and not done.stdout and mine["id"] in said(done) and "more than one" in said(done),
              f"several: {said(done)}")
        done = ctl(bed.a, "ticket", common, "--json")
        equal(done.returncode, 1, "status of several as JSON")
        check(mine["id"] in [row["id"] for row in json.loads(done.stdout)["candidates"]], "the candidates")
        check("no id" in refused(bed.a, "ticket", "xyz"), "nonsense")
        check("no ticket" in refused(bed.a, "ticket", "0" * 32), "an unknown one")


def test_somebody_elses(bed):
    """A user of the system sees his own letters, and is refused another's."""
    with configured(bed.a, system_users_domain="a.test"), room(bed) as lie:
        other, = lie(letter())
        refused(bed.a, "ticket", other["id"], user="news", status=77)
        mine, = lie(letter("news@a.test"), sender="news@a.test", login=False)
        found = json.loads(do(bed.a, "ticket", mine["id"], "--json", user="news"))
        equal(found["ticket"][0]["id"], mine["id"], "his own")
        check(mine["id"] in [row["id"] for row in rows(bed.a, "tickets", user="news")], "his list")
        check(other["id"] not in [row["id"] for row in rows(bed.a, "tickets", user="news")], "his list")
