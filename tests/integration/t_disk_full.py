"""The disk is full, or the store cannot be written: 452 4.3.1 (or plain, for mail that may), the client keeps the letter, and
nothing is half kept. At the recipient's site: what there is no room for is not called for."""

import contextlib
import os
import shutil

from bedlib.run import run
from harness import Box, Refused, Smtp, check, equal, letter, lf, submit, wait_for
from owner import policy, rows
from restante import bare_id, configured, fetchd_log, jobs, status, strip_trace, ticket, tickets, wait_ticket

NEEDS = ("restante",)
TIMEOUT = 120


@contextlib.contextmanager
def small_disk(site, megabytes, **changes):
    """fetchd of the site keeps its store on a file system of this size."""
    folder = f"{site.folder}/small"
    os.makedirs(folder, exist_ok=True)
    run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "tmpfs", folder])
    shutil.chown(folder, "restante", "restante")
    try:
        with configured(site, data_directory=folder, **changes):
            yield folder
    finally:
        run(["umount", "-l", folder])


def answer(bed, raw):
    try:
        submit(bed.a, "alice@a.test", ["bob@b.test"], raw)
    except Refused as e:
        return e.code, e.text[:5]
    return None


def test_a_letter_larger_than_the_disk(bed):
    """452 4.3.1 in the middle of the letter; the next, smaller one is taken."""
    with small_disk(bed.a, 70, disk_floor_percent="0", store_cache="2m"):
        raw = letter(body=(b"z" * 78 + b"\r\n") * (90 * 1024 * 1024 // 80))
        equal(answer(bed, raw), (452, "4.3.1"), "answer")
        equal(tickets(bed.a, message_id=bare_id(raw)), [], "tickets")
        equal(status(bed.a)["payloads"], 0, "payloads")
        box, raw = Box(bed.b, "bob"), letter()
        submit(bed.a, "alice@a.test", ["bob@b.test"], raw)
        equal(strip_trace(box.one()), lf(raw), "letter")


def test_no_room_at_all(bed):
    """Everything is used up: 452 4.3.1 to small letters too; with room again the same letter goes, once."""
    with small_disk(bed.a, 60, disk_floor_percent="0", store_cache="2m") as folder:
        filler = f"{folder}/filler"
        with contextlib.suppress(OSError), open(filler, "wb") as f:
            while True:
                f.write(b"\0" * 65536)
                f.flush()
        # Small letters fit into what the database has reserved already; some hundred of them do not.
        refused = None
        for _ in range(300):
            raw = letter(body=b"x" * 60_000 + b"\r\n")
            got = answer(bed, raw)
            if got:
                refused = raw, got
                break
        check(refused is not None, "300 letters of 60 KB were taken without any room")
        raw, got = refused
        equal(got, (452, "4.3.1"), "answer")
        os.remove(filler)
        box = Box(bed.b, "bob")
        if not bed.a.daemons.pid("fetchd"):
            bed.a.daemons.start_one("fetchd")
        submit(bed.a, "alice@a.test", ["bob@b.test"], raw)
        found = box.wait(1, containing=bare_id(raw).encode(), timeout=40)
        equal([strip_trace(one) for one in found], [lf(raw)], "letter")


def test_below_the_floor(bed):
    """Below disk_floor_percent automatic mail goes plain."""
    box, raw = Box(bed.b, "bob"), letter()
    with small_disk(bed.a, 60, disk_floor_percent="90", store_cache="2m") as folder:
        with open(f"{folder}/filler", "wb") as f:
            f.write(b"\0" * (30 << 20))
        submit(bed.a, "alice@a.test", ["bob@b.test"], raw)
        got = box.one()
        check(b"with RESTANTE" not in got[:3000], "it came by Restante")
        equal(tickets(bed.a, message_id=bare_id(raw)), [], "tickets")


def test_nothing_is_kept_below_the_floor(bed):
    """Ordinary mail that would be kept as a contact attempt: the client is asked to come again."""
    with small_disk(bed.a, 60, disk_floor_percent="90", store_cache="2m") as folder, \
            policy(bed.a, "bob@a.test", "--legacy", "attempt"):
        with open(f"{folder}/filler", "wb") as f:
            f.write(b"\0" * (30 << 20))
        with Smtp(bed.x, to=bed.a.address) as smtp:
            try:
                smtp.send("eve@x.test", ["bob@a.test"], letter("eve@x.test", "bob@a.test"))
                raise AssertionError("it was taken")
            except Refused as e:
                equal((e.code, e.text[:5]), (452, "4.3.1"))
        equal(rows(bed.a, "attempts", "bob@a.test"), [], "attempts")


def leave(folder, megabytes):
    """Fills the disk but for so much."""
    with open(f"{folder}/filler", "wb") as f:
        while (have := os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize) > megabytes << 20:
            f.write(b"\0" * min(1 << 20, have - (megabytes << 20)))
            f.flush()


def test_no_room_at_the_recipient(bed):
    """What b has no room for is not called for, so it waits at a as if b had never heard of it, and is not tried; small letters
    arrive meanwhile; with room it is there."""
    box, large, small = Box(bed.b, "bob"), letter(body=(b"z" * 78 + b"\r\n") * (8 * 1024 * 1024 // 80)), letter()
    with small_disk(bed.b, 120, store_cache="2m", pull_disk_reserve="20m") as folder:
        leave(folder, 26)
        log = fetchd_log(bed.b)
        submit(bed.a, "alice@a.test", ["bob@b.test"], large)
        job = wait_for("the job to be put off", lambda: next(
            (job for job in jobs(bed.b, state="waiting") if "no room" in job.get("text", "")), None), 20, 0.2)
        equal(job["tries"], 0, "tries")
        log.wait("pull_disk_reserve keeps 20971520")
        submit(bed.a, "alice@a.test", ["bob@b.test"], small)
        equal(strip_trace(box.one()), lf(small), "the small letter")
        equal(ticket(bed.a, large)["state"], "waiting", "state of the large one's ticket")
        os.remove(f"{folder}/filler")
        found = box.wait(2, timeout=40)
        check(lf(large) in map(strip_trace, found), "the large letter is another")
        wait_ticket(bed.a, large, "delivered")
        equal(len(log.find("pull_disk_reserve keeps")), 1, "lines about it in the log")
