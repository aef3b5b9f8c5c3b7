"""Backup, restore, check: a copy of the store while letters come and go, brought back after a disaster; what was handed over,
confirmed or taken back since is not done again, and each sender of a letter that is lost is told. Start after torn logs and
jumping clocks."""

import contextlib
import glob
import os
import shutil
import threading

from bedlib.run import run
from harness import Box, Failure, Log, check, daemon_log, equal, letter, lf, submit
from restante import bare_id, configured, status, strip_trace, ticket, tickets, wait_ticket

NEEDS = ("restante",)
TIMEOUT = 200
DAY = 86400


@contextlib.contextmanager
def place(site, name):
    """A directory that the site's fetchd may write."""
    folder = f"{site.folder}/{name}"
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder, 0o700)
    shutil.chown(folder, "restante", "restante")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def away(site):
    """Nobody calls for letters."""
    site.daemons.stop_one("fetchd")
    try:
        yield
    finally:
        if not site.daemons.pid("fetchd"):
            site.daemons.start_one("fetchd")


@contextlib.contextmanager
def own_store(bed, **changes):
    """a keeps letters in a store of this case, and so does b: it forgets afterwards what a lost."""
    with place(bed.a, "store") as folder, place(bed.b, "store") as other, \
            configured(bed.b, data_directory=other), configured(bed.a, data_directory=folder, **changes):
        try:
            yield folder
        finally:
            bed.a.daemons.stop_one("fetchd")
    if not bed.a.daemons.pid("fetchd"):
        bed.a.daemons.start_one("fetchd")


def post(bed, to="bob@b.test", **options):
    raw = letter(to=to, **options)
    submit(bed.a, "alice@a.test", [to], raw)
    return raw


def backup(bed, folder):
    return bed.a.daemons.restantectl("backup", folder).stdout.decode()


def disaster(bed):
    bed.a.daemons.stop_one("fetchd", grace=0)


def restore(bed, folder, *options, **more):
    return bed.a.daemons.restantectl("restore", folder, *options, **more)


def begin_again(bed):
    bed.a.daemons.start_one("fetchd")


def told(box, raw, count=1):
    """His notices about a letter: so many, and no more."""
    box.wait(count, containing=bare_id(raw).encode())
    equal(len(box.new(bare_id(raw).encode())), count, "notices")


def in_order(bed, *options):
    done = bed.a.daemons.restantectl("check", *options, check=False)
    check(done.returncode == 0, f"check: {done.stdout.decode()} {done.stderr.decode()}")


def test_nothing_is_served_twice_and_nothing_lost_in_silence(bed):
    """Backups under load; then letters are collected, taken back, and come in; the disk is lost, and the journal is not."""
    alice, bob = Box(bed.a, "alice"), Box(bed.b, "bob")
    with place(bed.a, "backup") as folder, own_store(bed) as store:
        with away(bed.b):
            early = [post(bed) for _ in range(3)] + [post(bed, body=(b"z" * 78 + b"\r\n") * 4000)]
            back = post(bed)
            load = [letter(to="carol@b.test") for _ in range(30)]
            thread = threading.Thread(target=lambda: [submit(bed.a, "alice@a.test", ["carol@b.test"], raw) for raw in load])
            thread.start()
            check("full" in backup(bed, folder), "the first is full")
            check("incremental" in backup(bed, folder), "the second is incremental")
            thread.join()
            check("incremental" in backup(bed, folder), "the third is incremental")
            done = bed.a.daemons.restantectl("retract", ticket(bed.a, back)["id"])
            check(b"retracted" in done.stdout, f"retract: {done.stdout}")
        for raw in early:
            wait_ticket(bed.a, raw, "delivered")
        with away(bed.b):
            lost = post(bed)
            disaster(bed)
            equal(restore(bed, folder, check=False).returncode, os.EX_CANTCREAT, "status where a store is there")
            with place(bed, "empty") as empty:
                equal(restore(bed, empty, check=False).returncode, os.EX_NOINPUT, "status where there is no backup")
            said = restore(bed, folder, "--replace").stdout.decode()
            check("all that happened since" in said, said)
            in_order(bed, "--deep")
            begin_again(bed)
            for raw in early:
                equal(ticket(bed.a, raw)["state"], "delivered", "state")
            equal(ticket(bed.a, back)["state"], "retracted", "state")
            equal(ticket(bed.a, lost)["state"], "bounced", "state")
            told(alice, lost)
        for raw in load:
            wait_ticket(bed.a, raw, "delivered", timeout=40)
        for raw in early:
            equal(len(bob.new(bare_id(raw).encode())), 1, "copies")
        for raw in (back, lost):
            equal(bob.new(bare_id(raw).encode()), [], "copies of what is taken back, or lost")
        check(glob.glob(f"{store}/db.before-*"), "the old store lies aside")
        in_order(bed)


def test_on_an_empty_directory_without_the_journal(bed):
    """Another disk, and no journal: what waits is served, but nobody is told that it was taken back."""
    bob = Box(bed.b, "bob")
    with place(bed.a, "backup") as folder:
        with own_store(bed), away(bed.b):
            raw = post(bed)
            backup(bed, folder)
            disaster(bed)
        with place(bed.a, "other") as other, away(bed.b):
            bed.a.daemons.stop_one("fetchd")
            bed.a.daemons.configure(data_directory=other)
            try:
                said = restore(bed, folder).stdout.decode()
                check("perhaps handed over since: 1" in said, said)
                begin_again(bed)
                done = bed.a.daemons.restantectl("retract", ticket(bed.a, raw)["id"], check=False)
                check(done.returncode != 0 or b"restored" in done.stdout + done.stderr, f"retract: {done}")
                equal(ticket(bed.a, raw)["state"], "waiting", "state")
                bed.b.daemons.start_one("fetchd")
                wait_ticket(bed.a, raw, "delivered")
                equal(strip_trace(bob.one(containing=bare_id(raw).encode())), lf(raw), "letter")
            finally:
                bed.a.daemons.stop_one("fetchd")
                bed.a.daemons.configure()
                bed.a.daemons.start_one("fetchd")


def test_a_torn_journal_and_a_killed_restore(bed):
    """The journal's last entry is torn: what it has is known. A restore that dies half way is said to have."""
    with place(bed.a, "backup") as folder, own_store(bed) as store:
        with away(bed.b):
            raw = post(bed)
            backup(bed, folder)
        wait_ticket(bed.a, raw, "delivered")
        disaster(bed)
        newest = max(glob.glob(f"{store}/handover/handover.*"))
        with open(newest, "r+b") as f:
            f.truncate(len(f.read().rstrip(b"\0")) - 5)
        died = restore(bed, folder, "--replace", check=False, env={**os.environ, "RESTANTE_KILL": "restore-files-after:1"})
        check(died.returncode != 0, "the restore was killed")
        log = Log(daemon_log(bed.a, "fetchd").path)
        try:
            begin_again(bed)
            raise Failure("fetchd starts on half a store")
        except Failure:
            raise
        except Exception:  # pylint: disable=broad-except
            bed.a.daemons.stop_one("fetchd")
        log.wait(r"a restore was broken off")
        said = restore(bed, folder).stdout.decode()
        check("all that happened since" in said, said)
        begin_again(bed)
        check(ticket(bed.a, raw)["state"] in ("delivered", "lapsed"), "state")


@contextlib.contextmanager
def full_disk(folder):
    """What lies there lies on a file system that has no room; in the end it lies where it was, as it was."""
    copy = f"{folder}.copy"
    run(["cp", "-a", folder, copy])
    run(["mount", "-t", "tmpfs", "-o", "size=300m,mode=0700", "tmpfs", folder])
    try:
        run(["cp", "-a", f"{copy}/.", folder])
        with contextlib.suppress(OSError), open(f"{folder}/filler", "wb", buffering=0) as f:
            while True:
                f.write(b"\0" * 65536)
        yield
    finally:
        run(["umount", "-l", folder])
        shutil.rmtree(copy)


@contextlib.contextmanager
def a_mount(folder):
    """It cannot be renamed."""
    run(["mount", "--bind", folder, folder])
    try:
        yield
    finally:
        run(["umount", "-l", folder])


def test_a_restore_that_fails_leaves_the_store(bed):
    """No room for anything; a part of the store that cannot be moved: the old store opens and has every letter."""
    with place(bed.a, "backup") as folder, own_store(bed) as store, away(bed.b):
        backup(bed, folder)
        waiting = [post(bed), post(bed, body=(b"z" * 78 + b"\r\n") * 4000)]
        disaster(bed)
        for trouble in (full_disk(store), a_mount(f"{store}/db"), a_mount(f"{store}/payload")):
            with trouble:
                done = restore(bed, folder, "--replace", check=False)
                check(done.returncode != 0, f"restored: {done}")
                if os.path.exists(f"{store}/filler"):
                    os.unlink(f"{store}/filler")
                begin_again(bed)
                try:
                    in_order(bed, "--deep")
                    for raw in waiting:
                        equal(ticket(bed.a, raw)["state"], "waiting", done.stderr.decode())
                finally:
                    bed.a.daemons.stop_one("fetchd")
        begin_again(bed)
        bob = Box(bed.b, "bob")
        bed.b.daemons.start_one("fetchd")
        for raw in waiting:
            wait_ticket(bed.a, raw, "delivered")
            equal(strip_trace(bob.wait(1, containing=bare_id(raw).encode())[0]), lf(raw), "letter")


def test_check_finds_what_is_lost(bed):
    """A payload file is gone: check says so, repairs, and the letter's sender is told; running and not."""
    box = Box(bed.a, "alice")
    with own_store(bed) as store, away(bed.b):
        for stopped in (False, True):
            raw = post(bed, body=(b"z" * 78 + b"\r\n") * 4000)
            in_order(bed)
            for path in glob.glob(f"{store}/payload/*"):
                os.unlink(path)
            if stopped:
                bed.a.daemons.stop_one("fetchd")
            done = bed.a.daemons.restantectl("check", check=False)
            equal(done.returncode, 1, "status")
            check(b"payload-damaged" in done.stdout, f"check: {done.stdout}")
            bed.a.daemons.restantectl("check", "--repair")
            if stopped:
                begin_again(bed)
            in_order(bed)
            equal(ticket(bed.a, raw)["state"], "bounced", "state")
            told(box, raw)
        check(os.path.exists(f"{store}/quarantine/findings.json"), "what was taken out is written down")


def test_what_may_not_be_written_is_said(bed):
    """A directory of somebody else's, one with other files, one inside of the store: refused with the reason."""
    with own_store(bed) as store, place(bed.a, "backup") as folder:
        for directory, words in ((f"{store}/inside", b"outside of data_directory"), ("/proc/nothing", b"/proc/nothing"),
                                 ("/root/nothing", b"its own user")):
            done = bed.a.daemons.restantectl("backup", directory, check=False)
            check(done.returncode != 0 and words in done.stderr, f"{directory}: {done}")
        with open(f"{folder}/mine.txt", "w", encoding="utf-8"):
            pass
        done = bed.a.daemons.restantectl("backup", folder, check=False)
        check(done.returncode != 0 and b"mine.txt" in done.stderr, f"{done}")
        done = bed.a.daemons.restantectl("restore", folder, check=False)
        check(done.returncode != 0, f"{done}")


def test_a_torn_log(bed):
    """The end of the database's log is cut off, or flipped: fetchd opens, or says why not; nothing that opens is half."""
    with place(bed.a, "copy") as copy, own_store(bed) as store, away(bed.b):
        raw = post(bed)
        with open(max(glob.glob(f"{store}/db/log.*")), "rb") as f:
            length = len(f.read().rstrip(b"\0"))
        disaster(bed)
        run(["cp", "-a", f"{store}/.", copy])
        for name, alter in (("cut", lambda f: f.truncate(length - 100)), ("flipped", lambda f: (f.seek(length - 100), f.write(b"\xff" * 50)))):
            run(["find", store, "-mindepth", "1", "-delete"])
            run(["cp", "-a", f"{copy}/.", store])
            with open(max(glob.glob(f"{store}/db/log.*")), "r+b") as f:
                alter(f)
            try:
                begin_again(bed)
            except Exception as e:  # pylint: disable=broad-except
                print(f"{name}: {e}")
                check("log" in str(e) or "store" in str(e), f"{name}: it does not say why: {e}")
                bed.a.daemons.stop_one("fetchd", grace=0)
                continue
            in_order(bed)
            check(len(tickets(bed.a, message_id=bare_id(raw))) <= 1, "tickets")
            bed.a.daemons.stop_one("fetchd", grace=0)
        run(["find", store, "-mindepth", "1", "-delete"])
        begin_again(bed)


def test_a_clock_that_jumps_a_day(bed):
    """Forth and back, with a restart at each: the store opens, agrees, and its letters wait."""
    with own_store(bed), away(bed.b):
        raw = post(bed)
        try:
            for shift in (DAY, -DAY, 0):
                bed.a.daemons.shift_clock(shift)
                bed.a.daemons.stop_one("fetchd", grace=0 if shift > 0 else 15)
                begin_again(bed)
                in_order(bed)
                equal(ticket(bed.a, raw)["state"], "waiting", "state")
                post(bed)
        finally:
            bed.a.daemons.shift_clock(0)
        equal(status(bed.a)["payloads"], 4, "letters that lie here")
