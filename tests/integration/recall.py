"""What a sender does with his letters that still lie at his own site, for the cases that need it."""

import contextlib
import itertools
import json
import os

from harness import check, equal, submit, wait_for
from owner import ctl, said
from restante import Sink, bare_id, mail_records, tickets, zones

_numbers = itertools.count(1)


def word(site, *arguments, status=0, **options):
    """retract, replace, hold or release: one row a ticket; the exit status must be this."""
    done = ctl(site, *arguments, "--json", **options)
    check(done.returncode == status, f"restantectl {' '.join(arguments)}: {done.returncode}: {said(done)}")
    return json.loads(done.stdout)[arguments[0]]


def one(site, *arguments, **options):
    """The same of one ticket: its row."""
    found = word(site, *arguments, **options)
    equal(len(found), 1, f"rows of restantectl {' '.join(arguments)}")
    return found[0]


def event_names(site, identity):
    """What happened to a ticket, in order."""
    done = json.loads(site.daemons.restantectl("ticket", identity, "--json").stdout)
    times = [row["time"] for row in done["events"]]
    equal(times, sorted(times), "times of events")
    return [row["event"] for row in done["events"]]


@contextlib.contextmanager
def room(bed):
    """Letters lie at a and are not called for: their recipients are in a domain whose mail goes to a sink at x. Gives a function that
    submits one to these names there (bob) and returns its tickets in the order of the names; what is left of them afterwards is
    taken back."""
    domain = f"room{os.getpid()}x{next(_numbers)}"
    mine = []

    def lie(raw, *names, sender="alice@a.test", login=True):
        to = [f"{name}@{domain}.test" for name in names or ("bob",)]
        before = {row["id"] for row in tickets(bed.a, message_id=bare_id(raw))}
        submit(bed.a, sender, to, raw, login=login)

        def all_there():
            found = [row for row in tickets(bed.a, message_id=bare_id(raw)) if row["id"] not in before and row.get("stub_sent")]
            return sorted(found, key=lambda row: row["recipient"]) if len(found) == len(to) else None
        found = wait_for("tickets whose stubs have gone", all_there, 10, 0.05)
        mine.extend(found)
        return found

    with zones(bed, **{domain: mail_records(bed.x.address, f"v=restante1; h=pull.{domain}.test; r=1")}), Sink(bed.x):
        try:
            yield lie
        finally:
            for row in mine:
                ctl(bed.a, "release", row["id"])
                ctl(bed.a, "retract", row["id"])


@contextlib.contextmanager
def lying(bed, raw, *names, **options):
    """One such letter: its tickets."""
    with room(bed) as lie:
        yield lie(raw, *names, **options)
