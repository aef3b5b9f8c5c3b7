"""A letter is taken back before anybody has collected it: by its id or Message-ID, for all of its recipients or one; after that the
answer says when it was collected, and whether that was confirmed. Exactly one of them, also when many are collected meanwhile."""

import os
import threading

from harness import Box, check, equal, letter, submit, wait_for
from owner import attempt, clean, ctl, do, policy, refused, rows, said
from puller import waiting
from recall import event_names, lying, one, room, word
from restante import answered_at_rcpt, bare_id, configured, fetchd_log, jobs, status, ticket, tickets, wait_ticket

NEEDS = ("restante",)
BOB = "bob@b.test"
ALICE = "alice@a.test"
DAY = 86400


def test_before_pickup(bed):
    """Tried as a sender: sent, listed, taken back; the other side, which kept it, has nothing any more, and its user got nothing."""
    with clean(bed.b, BOB), policy(bed.b, BOB, "known"):
        box, sender = Box(bed.b, "bob"), Box(bed.a, "alice")
        raw = letter()
        submit(bed.a, ALICE, [BOB], raw)
        attempt(bed.b, BOB, ALICE)
        mine = wait_ticket(bed.a, raw, "held")
        before = status(bed.a)["payloads"]
        log = fetchd_log(bed.a)
        row = one(bed.a, "retract", mine["id"][4:12])
        equal((row["outcome"], row["done"], row["state"], row["recipient"]), ("retracted", "yes", "retracted", BOB), "the answer")
        log.wait(rf"ticket={mine['id'][4:12]} from=<alice@a\.test> to=<bob@b\.test> state=retracted status=retracted "
                 r"\(by user 0: ")
        equal(status(bed.a)["payloads"], before - 1, "payloads")
        wait_for("the other side to be empty", lambda: not rows(bed.b, "attempts", BOB), 20, 0.1)
        do(bed.b, "allow", BOB, ALICE)
        equal((box.new(), sender.new()), ([], []), "letters of anybody")
        equal(one(bed.a, "retract", mine["id"])["outcome"], "retracted", "said again")
        check("retracted" in event_names(bed.a, mine["id"]), "what happened")


def test_after_delivery(bed):
    """Collected at T, and confirmed."""
    raw = letter()
    submit(bed.a, ALICE, [BOB], raw)
    mine = wait_ticket(bed.a, raw, "delivered")
    row = one(bed.a, "retract", mine["id"], status=1)
    equal((row["outcome"], row["done"], row["collected"], row["confirmed"]), ("collected", "no", mine["handed_over"], "yes"),
          "the answer")
    text = said(ctl(bed.a, "retract", mine["id"]))
    check(f"collected at {mine['handed_over']}, arrival confirmed" in text, text)
    equal(ticket(bed.a, raw)["state"], "delivered", "its state")


def test_after_hand_over(bed):
    """Collected at T, not yet confirmed; and the one who collected it may still confirm."""
    with waiting(bed, letter()) as offer, offer.client() as client:
        offer.claim(client)
        row = one(bed.a, "retract", ticket(bed.a, offer.raw)["id"], status=1)
        equal((row["outcome"], row["confirmed"]), ("collected", "no"), "the answer")
        check("not yet confirmed" in row["text"], row["text"])
        equal(offer.ack(client).status, 204, "the confirmation")


def test_after_its_end(bed):
    """Ended as what it ended."""
    with waiting(bed, letter()) as offer, offer.client() as client:
        offer.nack(client)
        row = one(bed.a, "retract", ticket(bed.a, offer.raw)["id"], status=1)
        equal(row["outcome"], "ended", "the answer")
        check("ended as refused" in row["text"] and "denied" in row["text"], row["text"])


def test_a_retracted_letter_is_gone(bed):
    """Whoever calls for it is told so: 410, retracted, no content."""
    with waiting(bed, letter()) as offer, offer.client() as client:
        do(bed.a, "retract", ticket(bed.a, offer.raw)["id"])
        for answer in (offer.claim(client), offer.head(client)):
            equal((answer.status, answer.headers.get("restante-reason", answer.headers.get("restante-error"))),
                  (410, "retracted"), f"the answer {answer.headers}")


def test_several_recipients(bed):
    """By Message-ID all of them, an answer each; --recipient narrows; with the brackets of the letter."""
    raw = letter()
    with lying(bed, raw, "u1", "u2", "u3") as mine:
        names = [row["recipient"] for row in mine]
        row = one(bed.a, "retract", "--message-id", f"<{bare_id(raw)}>", "--recipient", names[1])
        equal((row["recipient"], row["outcome"]), (names[1], "retracted"), "the one")
        equal(sorted(t["state"] for t in tickets(bed.a, message_id=bare_id(raw))), ["retracted", "waiting", "waiting"], "states")
        found = word(bed.a, "retract", "--message-id", bare_id(raw))
        equal(sorted((row["recipient"], row["outcome"]) for row in found), [(name, "retracted") for name in names], "all")


def test_some_are_collected(bed):
    """Of three recipients one has it already: that one is told so, the others are taken back; the exit status says that not all was
    done."""
    with clean(bed.b, BOB), policy(bed.b, BOB, "known"):
        raw = letter(to="bob@b.test, carol@b.test")
        submit(bed.a, ALICE, [BOB, "carol@b.test"], raw)
        wait_ticket(bed.a, raw, "delivered", "carol@b.test")
        wait_ticket(bed.a, raw, "held", BOB)
        found = {row["recipient"]: row["outcome"] for row in word(bed.a, "retract", "--message-id", bare_id(raw), status=1)}
        equal(found, {BOB: "retracted", "carol@b.test": "collected"}, "answers")


def test_which_letter(bed):
    """A Message-ID that two letters bear, an id's beginning that several have, unknown ones, none, both: nothing changes."""
    raw = letter(body=b"one\r\n")
    identity = bare_id(raw)
    with room(bed) as lie:
        mine = [lie(raw)[0]["id"], lie(raw.replace(b"\r\n\r\none", b"\r\n\r\nanother"))[0]["id"]]
        to = tickets(bed.a, message_id=identity)[0]["recipient"]
        for arguments in (("--message-id", identity), ("--message-id", identity, "--recipient", to)):
            text = refused(bed.a, "retract", *arguments)
            check("more than one letter" in text and all(one in text for one in mine), text)
        check("more than one letter" in refused(bed.a, "retract", mine[0][:4]), "what all ids begin with")
        check("no ticket" in refused(bed.a, "retract", "--message-id", "nobody@knows.test"), "an unknown Message-ID")
        check("no ticket" in refused(bed.a, "retract", "--message-id", identity, "--recipient", "eve@b.test"), "another recipient")
        check("no ticket" in refused(bed.a, "retract", "f" * 32), "an unknown id")
        check("no id" in refused(bed.a, "retract", "nonsense"), "no id")
        for arguments in ((), (mine[0], "--message-id", identity)):
            equal(ctl(bed.a, "retract", *arguments).returncode, 64, f"status of retract {arguments}")
        equal([t["state"] for t in tickets(bed.a, message_id=identity)], ["waiting"] * 2, "states")


def test_forbidden(bed):
    """retract_forbidden, by the domain of the reverse-path or for all: not even root, and said so; what was collected is told
    first."""
    raw = letter()
    submit(bed.a, ALICE, [BOB], raw)
    wait_ticket(bed.a, raw, "delivered")
    with lying(bed, letter()) as (mine,):
        for domains, forbidden in (("c.test, A.test", True), ("*", True), ("c.test", False)):
            with configured(bed.a, retract_forbidden=domains):
                equal(one(bed.a, "retract", ticket(bed.a, raw)["id"], status=1)["outcome"], "collected", "a delivered one")
                row = one(bed.a, "retract", mine["id"], status=1 if forbidden else 0)
                equal(row["outcome"], "forbidden" if forbidden else "retracted", f"with {domains}")
                equal(row["state"], "waiting" if forbidden else "retracted", "its state")


def test_not_before_the_archive_has_it(bed):
    """With an archive that has no copy yet the letter is not taken back: try again; then it is."""
    raw = letter()
    with configured(bed.a, journal="dave@a.test"):
        with answered_at_rcpt(bed.a, "dave@a.test", "450 4.2.0 later"):
            submit(bed.a, ALICE, [BOB], raw)
            mine = ticket(bed.a, raw)
            row = one(bed.a, "retract", mine["id"], status=os.EX_TEMPFAIL)
            equal((row["outcome"], row["again"], row["state"]), ("not-yet", "yes", "waiting"), "the answer")
        wait_for("the archive to have it", lambda: "archived" in event_names(bed.a, mine["id"]), 20, 0.2)
        done = ctl(bed.a, "retract", mine["id"])
        check(" retracted " in said(done) or "collected at" in said(done), said(done))


def test_somebody_elses(bed):
    """A user of the system takes back what he sent; another's letter is refused and logged, by its id and its Message-ID."""
    raw = letter()
    with configured(bed.a, system_users_domain="a.test"), room(bed) as lie:
        other, = lie(raw)
        log = fetchd_log(bed.a)
        for arguments in ((other["id"],), ("--message-id", bare_id(raw))):
            refused(bed.a, "retract", *arguments, user="news", status=77)
        log.wait(rf"user \d+ \(news\) asked for ticket {other['id'][4:12]}, which is not his")
        equal(ticket(bed.a, raw)["state"], "waiting", "its state")
        mine, = lie(letter("news@a.test"), sender="news@a.test", login=False)
        equal(one(bed.a, "retract", mine["id"], user="news")["outcome"], "retracted", "his own")
        refused(bed.a, "hold", other["id"], user="news", status=77)


def test_hold(bed):
    """A letter on hold is not taken back, not replaced, and does not expire until it is released; it may be called for all the
    same."""
    raw = letter()
    with room(bed) as lie:
        mine, = lie(raw)
        row = one(bed.a, "hold", mine["id"], "--note", "case 17")
        equal((row["outcome"], row["done"]), ("on-hold", "yes"), "hold")
        shown = ticket(bed.a, raw)
        equal((shown["hold"], shown["hold_note"]), ("yes", "case 17"), "what the list shows")
        equal(one(bed.a, "retract", mine["id"], status=1)["outcome"], "on-hold", "retract")
        equal(one(bed.a, "replace", mine["id"], "-", status=1, input=raw)["outcome"], "on-hold", "replace")
        past = letter()
        lie(past)
        try:
            bed.a.daemons.shift_clock(31 * DAY)
            wait_ticket(bed.a, past, "expired", timeout=90)
            equal(ticket(bed.a, raw)["state"], "waiting", "its state past its time")
            equal(one(bed.a, "release", mine["id"])["outcome"], "released", "release")
            wait_ticket(bed.a, raw, "expired", timeout=90)
        finally:
            bed.a.daemons.shift_clock(0)
        check("hold" in event_names(bed.a, mine["id"]), "what happened")
        equal(one(bed.a, "hold", mine["id"], status=1)["outcome"], "ended", "hold of one that ended")
    with waiting(bed, letter()) as offer, offer.client() as client:
        do(bed.a, "hold", ticket(bed.a, offer.raw)["id"])
        offer.claim(client)
        equal(offer.ack(client).status, 204, "a letter on hold is confirmed")
        equal(offer.state(), "delivered", "its state")


def test_race_with_claims(bed):
    """Many letters are collected while they are taken back: each is either delivered or retracted, never both, and the answer says
    which."""
    count = 40
    box, known = Box(bed.b, "bob"), {job["id"] for job in jobs(bed.b)}
    raws = [letter(body=b"race\r\n") for _ in range(count)]
    answers = {}

    def retract(share):
        for raw in share:
            done = ctl(bed.a, "retract", "--message-id", bare_id(raw))
            answers[bare_id(raw)] = said(done)
    for at in range(0, count, 8):
        threads = [threading.Thread(target=retract, args=(raws[at + n:at + 8:2],)) for n in range(2)]
        for raw in raws[at:at + 8]:
            submit(bed.a, ALICE, [BOB], raw)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    told = {identity: "retracted" if " retracted " in text else "collected" for identity, text in answers.items()}
    for raw in raws:
        want = "delivered" if told[bare_id(raw)] == "collected" else "retracted"
        check(("collected at" in answers[bare_id(raw)]) == (want == "delivered"), f"the answer: {answers[bare_id(raw)]}")
        wait_ticket(bed.a, raw, want, timeout=40)
    want = {identity for identity, text in told.items() if text == "collected"}
    box.wait(len(want), timeout=40, containing=b"race\n") if want else None
    wait_for("b to wait for none of them", lambda: {job["id"] for job in jobs(bed.b, state="waiting")} <= known, 40, 0.2)
    got = [bare_id(raw) for raw in box.new(b"race\n")]
    equal((sorted(got), len(told)), (sorted(want), count), "delivered letters")
