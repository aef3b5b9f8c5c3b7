"""The store tidies up by itself: what is past its time ends, its payload and later its tombstone go, payload files that no record
names are removed; counts and quotas are right after kill -9, and nothing that waits is touched."""

import os

from harness import Box, check, equal, letter, wait_for
from owner import rows
from puller import waiting
from restante import configured, payload_files, status, tickets, wait_ticket

NEEDS = ("restante",)
BODY = b"A long line of text, over and over again.\r\n" * 4000
HOUR = 3600


def counts(site):
    """What is in the store, without the space on the disk and without times."""
    return {name: value for name, value in status(site).items() if "disk" not in name and name not in ("now", "outbox_next")}


def uses(site):
    return [(row["name"], row["letters"], row["bytes"]) for row in rows(site, "quota")]


def letters_of(site, name="@a.test"):
    return sum(letters for user, letters, _ in uses(site) if user == name)


def test_after_kill(bed):
    """kill -9: what is counted is what it was; a payload file without a record goes, the others stay."""
    with waiting(bed, letter(), letter(body=BODY)) as (_, large):
        before, used, files = counts(bed.a), uses(bed.a), payload_files(bed.a)
        wait_ticket(bed.a, large.raw, "waiting")
        bed.a.daemons.stop_one("fetchd", grace=0)
        orphan = os.path.join(os.path.dirname(files[0]), "00112233445566778899aabbccddeeff")
        with open(orphan, "wb") as f:
            f.write(b"half a letter")
        bed.a.daemons.start_one("fetchd")
        equal(counts(bed.a), before, "counts")
        equal(uses(bed.a), used, "quotas")
        wait_for("the file to be removed", lambda: not os.path.exists(orphan), 20, 0.1)
        equal(sorted(payload_files(bed.a)), sorted(files), "payload files")


def test_past_its_time(bed):
    """Its time is up: the sender is told, the payload goes, and in the end its tombstone, too."""
    before = set(payload_files(bed.a))
    with configured(bed.a, retention="1h", tombstone="1h"), waiting(bed, letter(body=BODY)) as offer:
        (file,) = set(payload_files(bed.a)) - before
        box = Box(bed.a, "alice")
        mine = wait_ticket(bed.a, offer.raw, "waiting")
        used = letters_of(bed.a)
        try:
            bed.a.daemons.shift_clock(2 * HOUR)
            wait_ticket(bed.a, offer.raw, "expired")
            wait_for("the sender to be told", box.new, 20, 0.1)
            wait_for("the payload to go", lambda: file not in payload_files(bed.a), 20, 0.1)
            check(letters_of(bed.a) < used, "letters of its domain")
            bed.a.daemons.shift_clock(4 * HOUR)
            wait_for("the tombstone to go", lambda: mine["id"] not in [t["id"] for t in tickets(bed.a)], 30, 0.2)
        finally:
            bed.a.daemons.shift_clock(0)
