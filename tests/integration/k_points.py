"""The walk through the kill points of both daemons on both sides: at each of them the daemon dies three times (at the first, the
second and the third pass) with letters under way, is started again, and every letter is counted. None is lost; one comes
twice only if the receiver died between its MTA's 250 and its own mark.
"""

import time

import killing
from harness import check, equal

NEEDS = ("restante",)
TIMEOUT = 250

# Where b may deliver a letter twice (DESIGN: the MTA has said 250, and the mark is not durable yet), and where a may report
# twice, for the same reason.
DOUBLE_LETTERS = ("mta-250", "kept-mta-250", "job-delivered-commit-before", "store-flush-before")
DOUBLE_REPORTS = ("notify-send-after", "work-done-commit-before", "store-flush-before", "handover-sync-before",
                  # the report of this very ack is under way beside the answer
                  "ack-answer-before", "ack-answer-after", "http-response-sent")

# Which letters pass a point. fetchd at a, the sender's side; the milter at a; fetchd at b, the recipient's; the milter at b.
FETCHD_A = {
    "plan-answer-before": killing.mixed,
    "deposit-commit-before": killing.several,
    "deposit-commit-after": killing.several,
    "deposit-answer-before": killing.mixed,
    "payload-write": killing.large,
    "payload-fdatasync-before": killing.large,
    "payload-fdatasync-after": killing.large,
    "payload-linkat-after": killing.large,
    "payload-dirsync-after": killing.large,
    "payload-unlink-before": killing.large,
    "store-flush-before": killing.small,
    "archive-send-before": killing.small,
    "archive-send-after": killing.several,
    "handover-sync-before": killing.small,
    "stub-send-before": killing.small,
    "stub-send-after": killing.plain_small,
    "work-done-commit-before": killing.small,
    "work-done-commit-after": killing.small,
    "work-later-commit-before": killing.stub_put_off,
    "work-later-commit-after": killing.stub_put_off,
    "work-refused-commit-before": killing.stub_refused,
    "work-refused-commit-after": killing.stub_refused,
    "bounced-commit-before": killing.unknown,
    "bounced-commit-after": killing.unknown,
    "bounce-answer-before": killing.unknown,
    "claim-commit-before": killing.small,
    "claim-commit-after": killing.large,
    "claim-answer-before": killing.small,
    "claim-answer-after": killing.large,
    "resume-commit-before": killing.held,
    "resume-commit-after": killing.held,
    "status-commit-before": killing.held,
    "status-commit-after": killing.held,
    "status-answer-before": killing.held,
    "ack-commit-before": killing.small,
    "ack-commit-after": killing.large,
    "ack-answer-before": killing.small,
    "ack-answer-after": killing.small,
    "nack-commit-before": killing.refused,
    "nack-commit-after": killing.refused,
    "nack-answer-before": killing.refused,
    "http-response-sent": killing.small,
    "notify-send-before": killing.small,
    "notify-send-after": killing.refused,
    "expire-commit-before": killing.expired,
    "expire-commit-after": killing.expired,
    "archived-commit-before": killing.small,
    "archived-commit-after": killing.small,
    "retract-commit-before": killing.Retracted,
    "retract-commit-after": killing.Retracted,
    "replace-commit-before": killing.Replaced,
    "replace-commit-after": killing.Replaced,
    "hold-commit-before": killing.OnHold,
    "hold-commit-after": killing.OnHold,
    "purge-commit-before": killing.remembered,
    "plain-commit-before": killing.SentPlain,
    "plain-commit-after": killing.SentPlain,
    "plain-send-before": killing.SentPlain,
    "plain-send-after": killing.SentPlain,
}
MILTER_A = {
    "milter-plan-answer": killing.mixed,
    "milter-body-chunk": killing.large,
    "milter-deposit-answer": killing.mixed,
    "milter-delrcpt-before": killing.mixed,
    "milter-delrcpt-after": killing.mixed,
    "milter-before-continue": killing.mixed,
}
FETCHD_B = {
    "notice-answer-before": killing.plain_small,
    "job-add-commit-before": killing.plain_small,
    "job-add-commit-after": killing.plain_small,
    "claim-answer-received": killing.large,
    "claim-spool-write": killing.large,
    "spooled": killing.large,
    "inject-before": killing.plain_small,
    "mta-250": killing.plain_small,
    "job-delivered-commit-before": killing.large,
    "job-delivered-commit-after": killing.plain_small,
    "done-mark-after": killing.plain_small,
    "ack-before": killing.plain_small,
    "ack-received": killing.plain_small,
    "attempt-add-commit-before": killing.Held,
    "attempt-add-commit-after": killing.Held,
    "job-told-commit-before": killing.Held,
    "job-told-commit-after": killing.Held,
    "attempt-admit-commit-before": killing.Held,
    "attempt-admit-commit-after": killing.Held,
    "keep-one-after": killing.Kept,
    "keep-answer-before": killing.Kept,
    "kept-inject-before": killing.Kept,
    "kept-mta-250": killing.Kept,
    "job-end-commit-before": killing.plain_small,
    "job-end-commit-after": killing.plain_small,
    "job-later-commit-before": killing.put_off,
    "job-later-commit-after": killing.put_off,
    "job-refused-commit-before": killing.refused,
    "job-refused-commit-after": killing.refused,
    "http-response-sent": killing.plain_small,
    "store-flush-before": killing.plain_small,
    "purge-commit-before": killing.remembered,
}
MILTER_B = {
    "milter-plan-answer": killing.Kept,
    "milter-notice-answer": killing.plain_small,
}
PLAN = {("a", "fetchd"): FETCHD_A, ("a", "milter"): MILTER_A, ("b", "fetchd"): FETCHD_B, ("b", "milter"): MILTER_B}

_walk = []
# What owners and the administrator say and what waits for their word: tests/unit/store/test_crash.c dies at each of these.
STORE_ALONE = {f"{word}-commit-{when}" for when in ("before", "after") for word in (
    "policy", "spend", "token-use", "attempt-drop", "job-gone", "stub-wait", "delay")}
STORE_ALONE |= {"counts-commit-before", "sweep-commit-before"}
STORE_ALONE |= {"plain-send-before", "plain-send-after"}  # k_life.py does, as at what comes before them
# What is copied and put back: tests/unit/store/test_backup.c does.
STORE_ALONE |= {"backup-table-after", "backup-logs-after", "backup-manifest-before", "backup-manifest-after", "restore-mark-after",
                "restore-aside-after", "restore-copy", "restore-files-after", "restore-recover-after", "restore-replay-after"}

STORE_ALONE |= {"check-tables-after", "check-payloads-after"}  # t_check.py does


def walk_of(bed):
    if not _walk:
        _walk.append(killing.Walk(bed).open())
    return _walk[0]


def finish(_):
    """After the last case: the bed as it was."""
    while _walk:
        _walk.pop().close()


def die_three_times(walk, side, program, point, kind):
    """The daemon dies at the first, second and third pass, each time on top of what the death before left behind; then it
    runs on. One letter goes after the other, so that only the one at the point can come twice."""
    site = getattr(walk.bed, side)
    walk.begin()
    began = time.monotonic()

    def dead():
        return walk.has_died(site, program)
    for nth in (1, 2, 3):
        walk.start_to_die(site, program, point, nth)
        for _ in range(nth + 1):
            if not walk.wait(lambda: dead() or walk.at_rest()):
                walk.fail(walk.unrest())
            if dead():
                break
            walk.post(kind())
        walk.wait(lambda: dead() or walk.at_rest())
        if not dead():
            walk.fail(f"pass {nth} of {point} is never reached; {walk.unrest()}")
        print(f"{nth}: died {time.monotonic() - began:.2f} s")
    walk.restart(site, program)
    doubled = walk.count(double_letters=side == "b" and point in DOUBLE_LETTERS,
                         double_reports=side == "a" and point in DOUBLE_REPORTS)
    check(doubled <= 3, f"{doubled} doubles from three kills")
    print(f"{len(walk.posts)} letters, {doubled} doubled, at rest {time.monotonic() - began:.2f} s")


def _case(side, program, point, kind):
    def case(bed):
        die_three_times(walk_of(bed), side, program, point, kind)
    case.__doc__ = f"{program} at {side} dies at {point}, three times."
    return case


def test_every_point_has_its_letters(bed):
    """What `--kill-points` lists is in the plan, and nothing else."""
    for program in ("fetchd", "milter"):
        done = bed.a.exec([f"{bed.a.daemons.bin}/restante-{program}", "--kill-points"])
        listed = set(done.stdout.decode().split())
        check(listed, f"restante-{program} has no kill points: no test build")
        planned = {point for (_, name), plan in PLAN.items() if name == program for point in plan}
        planned |= STORE_ALONE if program == "fetchd" else set()
        equal(sorted(planned ^ listed), [], f"kill points of {program} only here or only there")


for (_side, _program), _points in PLAN.items():
    for _point, _kind in _points.items():
        globals()[f"test_{_side}_{_program}_{_point}"] = _case(_side, _program, _point, _kind)
