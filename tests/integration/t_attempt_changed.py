"""What becomes of a letter that waits for its recipient's word when its sender changes his mind meanwhile: b looks whether it is
still there and the same. Mostly with a link host of the test's own, which answers as the case wants; at the end with a, and one of
the two away for a while."""

from evil import Evil
from harness import Box, check, equal, letter, lf, submit, wait_for
from owner import attempt, clean, do, policy, rows
from recall import one
from restante import configured, fetchd_log, jobs, strip_trace, wait_ticket

NEEDS = ("restante",)
BOB = "bob@b.test"
ALICE = "alice@a.test"
DAY_S = 86400


def answers(*rest):
    """Answers to requests for status, one after another, the last for ever: (status, version, size) or (status, reason)."""
    rest = list(rest)

    def answer(request, ticket):
        status, *more = rest.pop(0) if len(rest) > 1 else rest[0]
        if status == 204:
            version, size = more
            request.answer(204, [("restante-version", str(version)), ("restante-size", str(size)),
                                 ("restante-expires", str(ticket.expires))])
        else:
            request.answer(status, [("restante-reason", more[0])] if more else [])
    return answer


def told(ticket, count):
    wait_for(f"{count} words to the sender's site", lambda: len(ticket.statuses) >= count, 30, 0.05)


def heard(ticket, **fields):
    """Waits until the job has these fields; returns it."""
    return wait_for(f"a job with {fields}",
                    lambda: (job := ticket.job()) and all(job.get(name) == value for name, value in fields.items()) and job,
                    20, 0.1)


def waits(bed, **changes):
    return configured(bed.b, admission="known", **changes)


def test_looked_at_about_daily(bed):
    """Told once, looked at a day later and the same; replaced the day after: `changed`; taken back after that: no attempt, and
    the job says why."""
    with waits(bed), clean(bed.b, BOB), Evil(bed) as evil:
        size = len(evil.letter())
        ticket = evil.ticket(on_status=answers((204, 1, size), (204, 1, size), (204, 2, size + 5), (410, "retracted")),
                             expires_in=30 * DAY_S).offer()
        log = fetchd_log(bed.b)
        try:
            first = heard(ticket, version=1)
            check("changed" not in attempt(bed.b, BOB, f"eve@{evil.domain}"), "changed at first")
            bed.b.daemons.shift_clock(2 * DAY_S)
            told(ticket, 2)
            same = wait_for("the next look", lambda: (job := ticket.job())["next"] > first["next"] and job, 20, 0.1)
            check("replaced" not in same and same["version"] == 1, f"the same letter: {same}")
            bed.b.daemons.shift_clock(4 * DAY_S)
            told(ticket, 3)
            now = heard(ticket, version=2, replaced="yes")
            equal((now["state"], now["letter_bytes"]), ("held", size + 5), "the replaced letter's job")
            equal(attempt(bed.b, BOB, f"eve@{evil.domain}")["changed"], 1, "letters changed")
            check("CHANGED" in do(bed.b, "attempts", BOB), "the table")
            log.wait(r"status=replaced")
            bed.b.daemons.shift_clock(6 * DAY_S)
            gone = ticket.wait_job("failed")
            equal(gone["reason"], "retracted", "why it ended")
            equal(rows(bed.b, "attempts", BOB), [], "attempts")
            equal([seen.get("restante-status") for seen in ticket.statuses], ["held"] * 4, "what was told")
            equal(ticket.claims, [], "claims")
        finally:
            bed.b.daemons.shift_clock(0)


def test_no_looks_where_none_are_wanted(bed):
    """held_look = 0: it is due again only at its end; its stub again makes b look."""
    with waits(bed, held_look="0"), clean(bed.b, BOB), Evil(bed) as evil:
        size = len(evil.letter())
        ticket = evil.ticket(on_status=answers((204, 1, size), (410, "retracted"))).offer()
        job = heard(ticket, version=1)
        check(job["next"] > job["expires"], f"when it is due: {job}")
        ticket.offer()
        equal(ticket.wait_job("failed")["reason"], "retracted", "why it ended")
        equal(rows(bed.b, "attempts", BOB), [], "attempts")
        ticket.offer()  # of a letter that was dealt with
        equal((len(ticket.statuses), rows(bed.b, "attempts", BOB)), (2, []), "what a further stub does")


def test_stub_of_the_replaced_letter(bed):
    """A replaced letter's stub has another size: the same job, looked at at once; what is let in then is the new one."""
    with waits(bed), clean(bed.b, BOB), Evil(bed) as evil:
        old, new = evil.letter(), evil.letter(body=b"Another letter, and a longer one.\r\n")
        ticket = evil.ticket(old, on_status=answers((204, 1, len(old)), (204, 2, len(new)))).offer()
        heard(ticket, version=1)
        ticket.letter = new  # its stub's s=
        ticket.offer()
        heard(ticket, version=2, replaced="yes")
        seen = attempt(bed.b, BOB, f"eve@{evil.domain}")
        equal((seen["count"], seen["waiting"], seen["changed"]), (1, 1, 1), "the attempt")


def test_an_old_site_tells_no_version(bed):
    """A sender's site that answers 204 alone: held as ever."""
    with waits(bed), clean(bed.b, BOB), Evil(bed) as evil:
        ticket = evil.ticket(on_status=lambda request, _: request.answer(204)).offer()
        told(ticket, 1)
        wait_for("the next look", lambda: (job := ticket.job()) and job["next"] > job["changed"] and job, 20, 0.1)
        check("version" not in ticket.job() and "changed" not in attempt(bed.b, BOB, f"eve@{evil.domain}"), "what nobody said")


def test_called_for_by_another(bed):
    """Another puller of the domain has called for it (409): b is not at it again and again."""
    with waits(bed), clean(bed.b, BOB), Evil(bed) as evil:
        ticket = evil.ticket(on_status=answers((409,))).offer()
        told(ticket, 1)
        wait_for("the next look", lambda: (job := ticket.job())["next"] > job["changed"] and job, 20, 0.1)
        equal((ticket.job()["state"], ticket.job()["tries"]), ("held", 0), "the job")


def test_allowed_too_late(bed):
    """All that waits is called for; what was taken back ends quietly, the other arrives, in the version that its job says."""
    with policy(bed.b, BOB, "known"), clean(bed.b, BOB), Evil(bed) as evil:
        gone = evil.ticket(on_claim=lambda request, _: request.answer(410, [("restante-reason", "retracted")])).offer()
        there = evil.ticket()
        there.sender = gone.sender
        there.offer()
        attempt(bed.b, BOB, f"eve@{evil.domain}", waiting=2)
        log = fetchd_log(bed.b)
        check("2 letters called for" in do(bed.b, "allow", BOB, f"eve@{evil.domain}"), "allow")

        def ended():
            jobs = rows(bed.b, "jobs")
            mine = [job for job in jobs if job["sender"] == gone.sender]
            return sorted((job["state"], job.get("reason"), job.get("version")) for job in mine
                          if job["state"] in ("failed", "acked"))
        wait_for("both jobs to end", lambda: len(ended()) == 2, 30, 0.1)
        equal([(state, version) for state, _, version in ended()], [("acked", 1), ("failed", None)], "the jobs")
        equal(ended()[1][1], "retracted", "why the one ended")
        log.wait(r"status=ended \(the ticket has ended: retracted\)")
        equal(gone.nacks + there.nacks, [], "nacks")
        equal(rows(bed.b, "attempts", BOB), [], "attempts")


def test_taken_back_after_a_was_away(bed):
    """b looks while a's fetchd is away: the attempt stays. a is back, the letter is taken back, the attempt goes."""
    with policy(bed.b, BOB, "known"), clean(bed.b, BOB):
        raw = letter()
        submit(bed.a, ALICE, [BOB], raw)
        attempt(bed.b, BOB, ALICE)
        mine = wait_ticket(bed.a, raw, "held")
        job = wait_for("the job", lambda: next((job for job in jobs(bed.b, state="held", sender=ALICE) if job.get("version")), None),
                       20, 0.1)
        bed.a.daemons.stop_one("fetchd")
        try:
            bed.b.daemons.shift_clock(2 * DAY_S)
            wait_for("a look in vain", lambda: jobs(bed.b, id=job["id"])[0]["tries"], 30, 0.1)
            equal(attempt(bed.b, BOB, ALICE)["waiting"], 1, "letters that wait")
            bed.a.daemons.start_one("fetchd")
            equal(one(bed.a, "retract", mine["id"])["outcome"], "retracted", "the answer")
            wait_for("the attempts to be empty", lambda: not rows(bed.b, "attempts", BOB), 30, 0.1)
            equal(jobs(bed.b, id=job["id"])[0]["reason"], "retracted", "why it ended")
        finally:
            bed.b.daemons.shift_clock(0)
            if not bed.a.daemons.pid("fetchd"):
                bed.a.daemons.start_one("fetchd")


def test_replaced_while_b_was_away(bed):
    """The stub that says so does not reach b, which sees it at its next look; what is let in then is the new letter."""
    with policy(bed.b, BOB, "known"), clean(bed.b, BOB):
        box = Box(bed.b, "bob")
        raw = letter(body=b"the old text\r\n")
        new = raw.replace(b"the old text", b"the new text")  # of the same size
        submit(bed.a, ALICE, [BOB], raw)
        attempt(bed.b, BOB, ALICE)
        mine = wait_ticket(bed.a, raw, "held")
        wait_for("the version", lambda: [job for job in jobs(bed.b, state="held", sender=ALICE) if job.get("version") == 1], 20, 0.1)
        bed.b.daemons.stop_one("fetchd")
        try:
            equal(one(bed.a, "replace", mine["id"], "-", input=new)["outcome"], "replaced", "the answer")
            bed.b.daemons.shift_clock(2 * DAY_S)
            bed.b.daemons.start_one("fetchd")
            seen = wait_for("b to see it", lambda: [row for row in rows(bed.b, "attempts", BOB) if row.get("changed")], 30, 0.1)
            equal((seen[0]["waiting"], seen[0]["changed"]), (1, 1), "the attempt")
            check("1 letter called for" in do(bed.b, "allow", BOB, ALICE), "allow")
            equal(strip_trace(box.one()), lf(new), "the letter that arrived")
            wait_ticket(bed.a, raw, "delivered")
            wait_for("the job", lambda: [job for job in jobs(bed.b, state="acked", sender=ALICE)
                                         if job.get("version") == 2 and job.get("replaced") == "yes"], 20, 0.1)
        finally:
            bed.b.daemons.shift_clock(0)
            if not bed.b.daemons.pid("fetchd"):
                bed.b.daemons.start_one("fetchd")
