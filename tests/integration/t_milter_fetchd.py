"""The milter and the real fetchd at a, driven by the milter protocol: what no MTA can be made to do at will."""

import json
import threading
import time

from harness import check, equal, unique, wait_for
from milterlib import Mta

NEEDS = ("restante",)
TIMEOUT = 120


def session(bed, **options):
    mta = Mta(f"{bed.a.mta.queue}/restante/milter.sock")
    mta.start(**{"domains": "a.test", "helo": "pc.a.test"} | options)
    return mta


def raw(word, body=b"Hello.\r\n"):
    return (f"From: Alice <alice@a.test>\r\nTo: bob@b.test\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n"
            f"Message-ID: <{word}@a.test>\r\n\r\n").encode() + body


def give(mta, word, recipients=("<bob@b.test>",), body=b"Hello.\r\n"):
    return mta.message(["<alice@a.test>"], [[r] for r in recipients], raw(word, body), auth="alice@a.test", queue_id="4Driven")


def known(bed, word):
    """The tickets of a letter."""
    done = bed.a.daemons.restantectl("tickets", "--message-id", f"{word}@a.test", "--json")
    return json.loads(done.stdout)["tickets"]


def test_letter_is_taken_in(bed):
    """Stub recipients leave, plain ones stay; one ticket each for the former."""
    word = unique()
    with session(bed) as mta:
        end = give(mta, word, ["<bob@b.test>", "<carol@c.test>", "<carol@b.test>", "<bob@B.test>"])
        equal((end.kind, end.deleted), ("continue", ["<bob@b.test>", "<carol@b.test>", "<bob@B.test>"]))
    equal(sorted(t["recipient"] for t in known(bed, word)), ["bob@b.test", "carol@b.test"])


def test_second_try_makes_nothing_twice(bed):
    """The same letter again, as after a lost 250: taken again, with the same ticket."""
    word = unique()
    with session(bed) as mta:
        for _ in range(3):
            equal(give(mta, word).deleted, ["<bob@b.test>"])
    equal(len(known(bed, word)), 1, "tickets")


def test_deposit_that_breaks_off_leaves_nothing(bed):
    """Body half sent, then RSET, or the connection lost: no ticket, and the next letter of the session is taken."""
    broken, whole = unique(), unique()
    for lost in (False, True):
        with session(bed) as mta:
            mta.envelope(["<alice@a.test>"], [["<bob@b.test>"]], auth="alice@a.test")
            mta.headers(raw(broken))
            equal(mta.header_end().kind, "continue")
            for _ in range(40):
                equal(mta.body(b"x" * 65535).kind, "continue")
            if not lost:
                mta.abort()
                equal(give(mta, whole).kind, "continue")
    equal(len(known(bed, whole)), 1, "tickets of the whole letter")
    time.sleep(0.5)
    equal(known(bed, broken), [])


def test_two_hundred_sessions_at_once(bed):
    """200 clients at the same moment, two letters each: 400 tickets, none refused."""
    words = [unique() for _ in range(400)]
    failed = []

    def work(n):
        try:
            with session(bed, host=f"h{n}.example") as mta:
                for word in words[2 * n:2 * n + 2]:
                    end = give(mta, word, body=f"{word} ".encode() * 3000 + b"\r\n")
                    equal((end.kind, end.deleted), ("continue", ["<bob@b.test>"]), f"{end}")
        except Exception as e:  # pylint: disable=broad-except
            failed.append(e)
    threads = [threading.Thread(target=work, args=(n,)) for n in range(200)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"400 letters in {time.monotonic() - began:.1f} s")
    check(not failed, f"{len(failed)} of 200 sessions failed: {failed[:3]}")
    for word in words[::20]:
        equal(len(known(bed, word)), 1, f"tickets of {word}")


def test_malformed_stub_is_refused(bed):
    """A stub field that is none: 550 with the reason, for good."""
    with session(bed, host="evil.example", address="192.0.2.66") as mta:
        end = mta.message(["<eve@b.test>"], [["<alice@a.test>"]],
                          b"From: eve@b.test\r\nRestante-Stub: v=1; u=ftp://x\r\n\r\nhi\r\n", mailer="virtual")
        equal((end.kind, end.code, end.enhanced), ("reply", "550", "5.6.0"))
        end = mta.message(["<eve@b.test>"], [["<alice@a.test>"], ["<carol@a.test>"]],
                          b"From: eve@b.test\r\nRestante-Stub: v=1\r\n\r\nhi\r\n", mailer="virtual")
        equal(end.code, "550")


def test_large_letter_in_constant_memory(bed):
    """100 MB, and the milter holds none of it."""
    pid = bed.a.daemons.pid("milter")
    with session(bed) as mta:
        give(mta, unique())
        before = resident(pid)
        end = give(mta, unique(), body=b"0123456789abcde\n" * 6_250_000)
        equal(end.kind, "continue", f"{end}")
        # AddressSanitizer keeps freed memory back.
        limit = 300 << 20 if b"libasan" in maps(pid) else 8 << 20
        check(resident(pid) - before < limit, f"grew by {(resident(pid) - before) >> 10} KiB")


def resident(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * 4096


def maps(pid):
    with open(f"/proc/{pid}/maps", "rb") as f:
        return f.read()


def test_fetchd_killed_in_the_middle(bed):
    """fetchd dies while a body streams: 451 4.3.2, and the next try is taken when it is back."""
    word = unique()
    with session(bed) as mta:
        mta.envelope(["<alice@a.test>"], [["<bob@b.test>"]], auth="alice@a.test")
        body = raw(word)
        mta.headers(body)
        equal(mta.header_end().kind, "continue")
        equal(mta.body(b"x" * 65535).kind, "continue")
        bed.a.daemons.stop_one("fetchd", grace=0)
        try:
            for _ in range(20):
                if mta.body(b"x" * 65535).kind != "continue":
                    break
            end = mta.end()
            equal((end.code, end.enhanced, end.deleted), ("451", "4.3.2", []))
            equal(give(mta, word).code, "451")
        finally:
            bed.a.daemons.start_one("fetchd")
        equal(wait_for("the letter to be taken", lambda: give(mta, word).deleted, 20), ["<bob@b.test>"])
    equal(len(known(bed, word)), 1)
