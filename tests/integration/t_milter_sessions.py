"""The milter's sessions: many messages, many at once, switched off, kept sockets, signals and its own options."""

import os
import random
import re
import resource
import subprocess
import threading
import time

from harness import check, equal
from localapi import all_stubs, durable, verdicts
from milterlib import LITTLE_QUARANTINE, Milter, Mta, find_milter

BED = "plain"
TIMEOUT = 180


def raw(word, body=b"Hello.\r\n"):
    return f"From: alice@a.test\r\nMessage-ID: <{word}@a.test>\r\n\r\n".encode() + body


def submit(mta, word, *, recipients=("<bob@b.test>",), body=b"Hello.\r\n", **options):
    return mta.message(["<alice@a.test>"], [[r] for r in recipients], raw(word, body), auth="alice", **options)


def test_not_enabled(bed):
    """{restante_domains} absent or empty: accepted at once, for the whole session."""
    with Milter() as milter:
        for domains in (None, "", " ", ", ,"):
            with milter.session(domains=domains) as mta:
                pass
            with Mta(milter.path) as mta:
                equal(mta.start(domains=domains).kind, "accept", f"domains {domains!r}")
        equal(milter.fetchd.connections, 0)


def test_many_messages_in_a_session(bed):
    """Ways of all kinds one after another; none leaks into the next."""
    plans = {"stub": all_stubs, "plain": lambda _: verdicts("plain")}
    with Milter(end_by_term=True) as milter, milter.session() as mta:
        chosen = random.Random(7)
        for n in range(200):
            kind = chosen.choice(["stub", "plain", "foreign", "long", "rset"])
            milter.fetchd.plan = plans.get(kind, all_stubs)
            seen = len(milter.fetchd.deposits)
            if kind == "foreign":
                equal(mta.message(["<eve@x.test>"], [["<carol@c.test>"]], raw(n)).kind, "accept")
            elif kind == "long":
                mta.envelope(["<alice@a.test>"], [["<bob@b.test>"]], auth="alice")
                equal(mta.content(b"X: " + b"y" * 62000 + b"\r\n\r\n").code, "552")
            elif kind == "rset":
                mta.envelope(["<alice@a.test>"], [["<old@b.test>"]], auth="alice")
                mta.abort()
            else:
                end = submit(mta, n)
                equal((end.kind, end.deleted), ("continue", ["<bob@b.test>"]) if kind == "stub" else ("accept", []))
            equal(len(milter.fetchd.deposits) - seen, kind == "stub", f"deposits of message {n}, {kind}")
            if kind == "stub":
                equal(milter.fetchd.deposits[-1].letter, raw(n))
                equal(milter.fetchd.deposits[-1].head["envelope"]["recipients"][0]["address"], "bob@b.test")


def test_socket_is_kept_for_the_next_client(bed):
    """QUIT_NC: another client on the same socket is another session."""
    with Milter() as milter, milter.session(host="one.example") as mta:
        equal(submit(mta, "one").kind, "continue")
        mta.next_connection()
        equal(mta.connect("two.example", "192.0.2.2").kind, "continue")
        mta.helo("two")
        equal(submit(mta, "two").kind, "continue")
        equal([p["envelope"]["client_name"] for p in milter.fetchd.plans], ["one.example", "two.example"])
        mta.next_connection()
        equal(mta.connect(domains=None).kind, "accept")


def test_unknown_client(bed):
    """A client without an address may submit only with a login."""
    with Milter() as milter, milter.session(family="U") as mta:
        equal(mta.message(["<alice@a.test>"], [["<bob@b.test>"]], raw("no")).kind, "accept")
        equal(submit(mta, "yes").kind, "continue")
        check("client_address" not in milter.fetchd.plans[0]["envelope"], "an address from nowhere")


def together(count, work):
    """Runs work(n) in `count` threads and raises what the first failing one raised."""
    failed = []

    def run(n):
        try:
            work(n)
        except Exception as e:  # pylint: disable=broad-except
            failed.append(e)
    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]


def test_two_hundred_sessions_with_a_slow_fetchd(bed):
    """200 letters at once while each plan takes 0.2 s: all are taken, none is mixed up with another."""
    with Milter() as milter:
        def slow(plan):
            time.sleep(0.2)
            return all_stubs(plan)
        milter.fetchd.plan = slow

        def work(n):
            with milter.session(host=f"h{n}.example") as mta:
                for turn in range(2):
                    word = f"w{n}.{turn}"
                    end = submit(mta, word, recipients=[f"<{word}@b.test>"], body=f"{word} ".encode() * 5000)
                    equal(end.deleted, [f"<{word}@b.test>"])
        began = time.monotonic()
        together(200, work)
        print(f"400 letters in {time.monotonic() - began:.1f} s")
        equal(len(milter.fetchd.deposits), 400)
        for head, letter in milter.fetchd.deposits:
            word = head["envelope"]["recipients"][0]["address"].removesuffix("@b.test")
            equal(letter, raw(word, f"{word} ".encode() * 5000))
            equal(head["envelope"]["client_name"], f"h{word[1:].split('.')[0]}.example")


def test_seven_hundred_open_sessions(bed):
    """More sessions than the usual limit of 1,024 descriptors would bear, all in the middle of their letters."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    with Milter() as milter:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # our own ends
        milter.fetchd.keep_letters = False
        open_sessions = []
        try:
            for n in range(700):
                mta = milter.session()
                open_sessions.append(mta)
                mta.envelope(["<alice@a.test>"], [["<bob@b.test>"]], auth="alice")
                mta.headers(raw(n))
                equal(mta.header_end().kind, "continue", f"session {n}")
            for mta in open_sessions:
                equal(mta.body(b"x" * 1000).kind, "continue")
            for mta in open_sessions:
                equal(mta.end().deleted, ["<bob@b.test>"])
        finally:
            for mta in open_sessions:
                mta.close()
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        equal(len(milter.fetchd.deposits), 700)


def test_sessions_that_break_off(bed):
    """Sessions that end at every point, beside others that do not."""
    with Milter(end_by_term=True) as milter:
        def work(n):
            for turn in range(5):
                with milter.session() as mta:
                    steps = (n + turn) % 7
                    if steps > 5:
                        equal(submit(mta, f"{n}.{turn}").kind, "continue")
                        continue
                    if steps > 0:
                        mta.mail("<alice@a.test>", auth="alice")
                    if steps > 1:
                        mta.rcpt("<bob@b.test>")
                    if steps > 2:
                        mta.header("From", " alice@a.test")
                    if steps > 3:
                        equal(mta.header_end().kind, "continue")
                    if steps > 4:
                        equal(mta.body(b"half").kind, "continue")
        together(28, work)
        equal(len(milter.fetchd.deposits), 20)


def test_socket_modes_and_stale_sockets(bed):
    """The socket is for user and group. A stale one is replaced; one that is served, or is no socket, never."""
    with Milter() as milter:
        equal(oct(os.stat(milter.path).st_mode & 0o777), "0o770")
        second = subprocess.run([find_milter(), "-c", milter.conf], capture_output=True, timeout=30, check=False)
        equal(second.returncode, 1)
        check(b"another milter serves this socket" in second.stderr, second.stderr.decode())
        with milter.session() as mta:
            equal(submit(mta, "first").kind, "continue")
        milter.process.kill()
        milter.process.wait()
        check(os.path.exists(milter.path), "no stale socket to be tried with")
        milter.start(clean=False)
        milter.wait_log(r"(?s)serves.*serves")
        with milter.session() as mta:
            equal(submit(mta, "second").kind, "continue")
        milter.stop(term=True)
        if os.path.exists(milter.path):
            os.unlink(milter.path)
        with open(milter.path, "w", encoding="ascii") as f:
            f.write("precious")
        third = subprocess.run([find_milter(), "-c", milter.conf], capture_output=True, timeout=30, check=False)
        equal(third.returncode, 1)
        equal(open(milter.path, encoding="ascii").read(), "precious")


def test_options(bed):
    """-n prints what holds, -V the version; a bad value is file:line: message; kill points are listed."""
    milter = Milter(fetchd=False)
    try:
        def run(*arguments):
            return subprocess.run([find_milter(), *arguments], capture_output=True, text=True, timeout=30, check=False)
        shown = run("-c", milter.conf, "-n")
        equal(shown.returncode, 0)
        check(f"milter_socket = unix:{milter.path}" in shown.stdout, shown.stdout)
        with open(f"{milter.folder}/again.conf", "w", encoding="utf-8") as f:
            f.write(shown.stdout)
        equal(run("-c", f"{milter.folder}/again.conf", "-n").stdout, shown.stdout)
        check(re.fullmatch(r"restante-milter \d+\.\d+\.\d+\n", run("-V").stdout), run("-V").stdout)
        with open(milter.conf, "a", encoding="utf-8") as f:
            f.write("milter_sockett = x\n")
        lines = open(milter.conf, encoding="utf-8").read().count("\n")
        wrong = run("-c", milter.conf, "-n")
        check(wrong.returncode != 0 and f"{milter.conf}:{lines}: " in wrong.stderr, wrong.stderr)
        equal(run("-x").returncode, 64)
        points = run("--kill-points").stdout.split()
        check(not points or "milter-delrcpt-before" in points, str(points))
    finally:
        subprocess.run(["rm", "-rf", milter.folder], check=True)


def test_memory_after_many_sessions(bed):
    """A thousand sessions leave nothing behind."""
    with Milter(env=LITTLE_QUARANTINE) as milter:
        def some(count):
            for n in range(count):
                with milter.session() as mta:
                    submit(mta, n)
            milter.fetchd.deposits.clear()
            milter.fetchd.plans.clear()
        milter.fetchd.deposit = durable
        some(200)
        before = milter.memory()
        some(800)
        check(milter.memory() - before < 4 << 20, f"grew by {(milter.memory() - before) >> 10} KiB")
