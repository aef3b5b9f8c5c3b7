"""check, and backups that are not what they should be: quiet while letters come, go and are copied; damaged and missing tables and
files without a record are found and put right, or refused with the reason; another site's backup is neither replaced nor taken."""

import os
import threading

from harness import check, equal, letter, submit
from restante import payload_files, tickets, wait_ticket
from t_backup import away, in_order, own_store, place, post

NEEDS = ("restante",)
TIMEOUT = 120
LONG = (b"z" * 78 + b"\r\n") * 4000


def asked(site, *words, status, says):
    done = site.daemons.restantectl(*words, check=False)
    text = (done.stdout + done.stderr).decode()
    check(done.returncode == status and says in text, f"restantectl {' '.join(words)}: {done.returncode}: {text}")
    return text


def test_quiet_while_all_goes_on(bed):
    """Nothing that is under way is called wrong: deposits, claims, acks, a backup."""
    over, wrong = threading.Event(), []

    def look(*words):
        while not over.is_set():
            done = bed.a.daemons.restantectl(*words, check=False)
            if done.returncode != 0:
                wrong.append(done.stdout + done.stderr)

    with place(bed, "backup") as folder:
        threads = [threading.Thread(target=look, args=words) for words in (("check", "--deep"), ("backup", folder))]
        for thread in threads:
            thread.start()
        try:
            raws = [letter(body=LONG) for _ in range(20)]
            for raw in raws:
                submit(bed.a, "alice@a.test", ["bob@b.test"], raw)
            for raw in raws:
                wait_ticket(bed.a, raw, "delivered", timeout=40)
        finally:
            over.set()
            for thread in threads:
                thread.join()
    equal(wrong, [], "findings")


def test_a_file_without_a_record(bed):
    """Said, and put aside by --repair."""
    with own_store(bed) as store, away(bed.b):
        post(bed, body=LONG)
        stray = f"{store}/payload/{'f' * 32}"
        with open(stray, "wb") as f:
            f.write(b"whose?")
        asked(bed.a, "check", status=1, says="payload-orphan")
        asked(bed.a, "check", "--repair", status=0, says="in quarantine as")
        check(not os.path.exists(stray), "it is still there")
        equal(len(payload_files(bed.a)) >= 1, True, "the letter's own file")
        in_order(bed, "--deep")


def test_tables_that_are_damaged_or_gone(bed):
    """A list is made anew; without the tickets fetchd does not start, and says so."""
    with own_store(bed) as store, away(bed.b):
        raws = [post(bed) for _ in range(3)]
        bed.a.daemons.stop_one("fetchd")
        with open(f"{store}/db/created.db", "r+b") as f:
            f.seek(4096 + 20)
            f.write(b"\xa5" * 64)
        asked(bed.a, "check", status=1, says="table-damaged: created")
        asked(bed.a, "check", "--repair", status=0, says="made anew")
        os.rename(f"{store}/db/ticket.db", f"{store}/ticket.db")
        asked(bed.a, "check", "--repair", status=1, says="table-missing: ticket")
        try:
            bed.a.daemons.start_one("fetchd")
        except Exception as e:  # pylint: disable=broad-except
            check("ticket.db is missing" in str(e), f"it does not say why: {e}")
        else:
            check(False, "fetchd starts without its tickets")
        os.rename(f"{store}/ticket.db", f"{store}/db/ticket.db")
        bed.a.daemons.start_one("fetchd")
        equal([row["state"] for row in tickets(bed.a)], ["waiting"] * len(raws), "states")
        in_order(bed, "--deep")


def test_a_repair_that_is_broken_off(bed):
    """It dies with the outbox emptied, or opened and not full again: fetchd does not start, the next repair goes on."""
    with own_store(bed) as store, away(bed.b):
        raws = [post(bed), post(bed, body=LONG)]
        for point in ("check-tables-after", "check-payloads-after"):
            bed.a.daemons.stop_one("fetchd")
            with open(f"{store}/db/work.db", "r+b") as f:
                f.seek(4096 + 20)
                f.write(b"\xa5" * 64)
            died = bed.a.daemons.restantectl("check", "--repair", check=False, env={**os.environ, "RESTANTE_KILL": f"{point}:1"})
            check(died.returncode not in (0, 1), f"the repair was killed at {point}: {died}")
            try:
                bed.a.daemons.start_one("fetchd")
            except Exception as e:  # pylint: disable=broad-except
                check("check --repair" in str(e), f"it does not say why: {e}")
            else:
                check(False, f"fetchd starts after {point}")
            bed.a.daemons.stop_one("fetchd")
            asked(bed.a, "check", status=os.EX_TEMPFAIL, says="check --repair")
            asked(bed.a, "check", "--repair", status=0, says="index-missing: ticket")
            bed.a.daemons.start_one("fetchd")
            in_order(bed, "--deep")
        bed.b.daemons.start_one("fetchd")
        for raw in raws:
            wait_ticket(bed.a, raw, "delivered", timeout=40)


def test_another_sites_backup(bed):
    """It is not replaced by ours, and not taken for ours: the store that was to go is there again."""
    with place(bed, "backup") as folder, own_store(bed), away(bed.b):
        with away(bed.a):
            bed.b.daemons.start_one("fetchd")
            asked(bed.b, "backup", folder, status=0, says="full")
        asked(bed.a, "backup", folder, status=1, says="another site")
        post(bed)
        bed.a.daemons.stop_one("fetchd")
        asked(bed.a, "restore", folder, "--replace", status=78, says="in its place again")
        bed.a.daemons.start_one("fetchd")
        equal([row["state"] for row in tickets(bed.a)], ["waiting"], "states")
