"""The milter when something goes wrong at fetchd: nothing is edited, the client keeps its letter."""

import time

from harness import check, equal
from localapi import durable, error, verdicts
from milterlib import Milter, Mta

BED = "plain"
RAW = b"From: alice@a.test\r\nMessage-ID: <1@a.test>\r\n\r\nHello.\r\n"


def submit(mta, raw=RAW, **options):
    return mta.message(["<alice@a.test>"], [["<bob@b.test>"]], raw, auth="alice", **options)


def refused(end, code, enhanced):
    equal((end.kind, end.code, end.enhanced, end.deleted, end.edits), ("reply", code, enhanced, [], []))


def test_fetchd_away(bed):
    """No socket, then a socket that nobody serves: 451 4.3.2; when fetchd is back, so is the way."""
    with Milter() as milter, milter.session() as mta:
        milter.fetchd.close()
        refused(submit(mta), "451", "4.3.2")
        milter.fetchd.open()
        equal(submit(mta).kind, "continue")


def test_fetchd_restarts(bed):
    """A kept connection that died is replaced; no letter is refused for it."""
    with Milter() as milter, milter.session() as mta:
        equal(submit(mta).kind, "continue")
        plan = milter.fetchd.plan
        dropped = []

        def drop_first(request):
            if not dropped:
                dropped.append(1)
                return None
            return plan(request)
        milter.fetchd.plan = drop_first
        check(submit(mta).kind in ("continue", "reply"), "neither taken nor refused")
        equal(submit(mta).kind, "continue")


def test_errors_of_a_deposit_pass_through(bed):
    """Disk full, quota, too large: fetchd's reply, and nothing leaves the envelope."""
    with Milter() as milter, milter.session() as mta:
        for name, smtp, enhanced, status in (("disk-full", 452, "4.3.1", 503), ("quota", 452, "4.2.2", 503),
                                             ("too-large", 552, "5.3.4", 413), ("store", 452, "4.3.1", 503)):
            milter.fetchd.deposit = lambda *_, a=(name, smtp, enhanced, "text", status): error(*a)
            refused(submit(mta), str(smtp), enhanced)
        milter.fetchd.deposit = durable
        equal(submit(mta).kind, "continue")


def test_unclear_deposits_are_temporary(bed):
    """What is no clear 201 for every recipient is no deposit, even if the letter lies there: it is offered again."""
    with Milter() as milter, milter.session() as mta:
        for said in ((200, {"tickets": ["0" * 32]}), (201, {"tickets": []}), (201, {"tickets": ["0" * 32] * 2}),
                     (201, {"tickets": ["xyz"]}), (201, b""), (201, b"[]"), (404, b""), (500, b"oops"),
                     error("syntax", 550, "5.6.0", "bad head", 400), None):
            milter.fetchd.deposit = lambda *_, said=said: said
            refused(submit(mta), "451", "4.3.2")


def test_unclear_plans_are_temporary(bed):
    """A plan that cannot be carried out is not guessed at."""
    with Milter() as milter, milter.session() as mta:
        for said in (verdicts(), verdicts("stub", "stub"), verdicts("refuse"), verdicts("maybe"), (200, b""), (200, b"{}"),
                     verdicts("stub", kind="stub"), error("syntax", 550, "5.6.0", "x", 400), None,
                     (200, {"kind": "letter", "verdicts": ["stub"], "want_body": True, "unknown": 1})):
            milter.fetchd.plan = lambda _, said=said: said
            refused(submit(mta), "451", "4.3.2")
        equal(milter.fetchd.deposits, [])


def test_plan_with_a_temporary_error(bed):
    """A temporary reply of the plan's is passed on."""
    with Milter() as milter, milter.session() as mta:
        milter.fetchd.plan = lambda _: error("busy", 451, "4.3.2", "too much waits already", 503)
        equal(submit(mta).text, "too much waits already")


def test_slow_commit_shows_progress(bed):
    """While fetchd commits, the MTA is told every second that somebody is alive."""
    with Milter() as milter, milter.session() as mta:
        def slow(*request):
            time.sleep(3.5)
            return durable(*request)
        milter.fetchd.deposit = slow
        progress = []
        read = mta.read
        mta.read = lambda: progress.append(got := read()) or got
        equal(submit(mta).kind, "continue")
        check(len([kind for kind, _ in progress if kind == "p"]) >= 2, f"progress: {[kind for kind, _ in progress]}")


def test_abort_half_way_leaves_nothing(bed):
    """RSET, QUIT or a lost MTA in the middle of the body: the upload is reset, never ended."""
    with Milter() as milter:
        for how in ("abort", "quit", "close", "next mail"):
            with milter.session() as mta:
                mta.envelope(["<alice@a.test>"], [["<bob@b.test>"]], auth="alice")
                mta.headers(RAW)
                equal(mta.header_end().kind, "continue")
                equal(mta.body(b"x" * 65535).kind, "continue")
                before = len(milter.fetchd.broken)
                if how == "abort":
                    mta.abort()
                elif how == "quit":
                    mta.quit()
                elif how == "next mail":
                    equal(submit(mta).kind, "continue")
                    check(milter.fetchd.deposits.pop().letter == RAW, "another letter than the second one")
            end = time.monotonic() + 10
            while len(milter.fetchd.broken) == before and time.monotonic() < end:
                time.sleep(0.02)
            equal(len(milter.fetchd.broken), before + 1, f"broken uploads after {how}")
            equal(milter.fetchd.deposits, [], f"deposits after {how}")
        milter.wait_log("status=aborted")


def test_kill_points(bed):
    """A milter that dies anywhere before its answer has answered nothing: the MTA says 451 by default_action."""
    for point in ("milter-plan-answer", "milter-body-chunk", "milter-deposit-answer", "milter-delrcpt-before",
                  "milter-delrcpt-after", "milter-before-continue"):
        milter = Milter(env={"RESTANTE_KILL": f"{point}:1"})
        with milter:
            with Mta(milter.path) as mta:
                mta.start()
                try:
                    submit(mta)
                    check(False, f"{point}: an answer")
                except (OSError, Exception) as e:  # pylint: disable=broad-except
                    check("hung up" in str(e) or isinstance(e, OSError), f"{point}: {e!r}")
            equal(milter.process.wait(10), -9, f"end of the milter at {point}")
            milter.environment.pop("RESTANTE_KILL")
            milter.start()
            with milter.session() as mta:
                equal(submit(mta).deleted, ["<bob@b.test>"], f"the next try after {point}")
