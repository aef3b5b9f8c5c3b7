"""Ordinary mail, from a host that knows nothing of Restante, into an enabled domain: accepted, kept as a contact attempt or
refused, by domain and mailbox; what is kept waits sealed, and is delivered to the byte when its sender is allowed."""

import contextlib

from harness import Box, Refused, Smtp, check, equal, letter, lf, message_id, submit, unique, untraced, wait_for
from owner import attempt, clean, do, policy, rows
from restante import Sink, answered_at_rcpt, configured, fetchd_log, found_in_store, mail_records, payload_files, status, stopped, zones

NEEDS = ("restante",)
BOB, CAROL, DAVE = "bob@b.test", "carol@b.test", "dave@b.test"
EVE = "eve@leg.test"
KEEP = ("--legacy", "attempt")
REPORT = ("MIME-Version: 1.0", 'Content-Type: multipart/report; report-type=delivery-status; boundary="b"')


@contextlib.contextmanager
def site(bed, *mailboxes):
    """leg.test is x's domain and may send from there; the mailboxes at b begin with nothing."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(zones(bed, leg=mail_records(bed.x.address)))
        for mailbox in mailboxes or (BOB,):
            stack.enter_context(clean(bed.b, mailbox))
        yield


def deliver(bed, raw, recipients=(BOB,), sender=EVE, source=None, **options):
    with Smtp(source or bed.x, to=bed.b.address, helo="mx.leg.test") as smtp:
        return smtp.send(sender, list(recipients), raw, **options)


def write(bed, recipients=(BOB,), sender=EVE, **options):
    raw = letter(sender or "mailer@leg.test", recipients[0], **options)
    deliver(bed, raw, recipients, sender)
    return raw


def refused(bed, recipients=(BOB,), **options):
    try:
        write(bed, recipients, **options)
    except Refused as e:
        return e
    raise AssertionError("it was taken")


def files(bed):
    """Payloads that lie beside the database."""
    return {path for path in payload_files(bed.b) if "/payload/" in path}


def of(raws):
    """The Message-IDs of letters, as they stand in them."""
    return {message_id(raw) for raw in raws}


def test_accepted(bed):
    """The default: it arrives to the byte, nothing is kept."""
    with site(bed):
        box = Box(bed.b, "bob")
        raw = write(bed)
        untraced(box.one(), raw)
        equal(rows(bed.b, "attempts", BOB), [], "attempts")


def test_refused(bed):
    """By domain and by mailbox, with 550 5.7.1 and a sentence; the mailbox overrules its domain; postmaster takes all."""
    with site(bed, BOB, CAROL), policy(bed.b, "@b.test", "--legacy", "reject"), policy(bed.b, CAROL, "--legacy", "accept"):
        bob, carol, postmaster = (Box(bed.b, user) for user in ("bob", "carol", "postmaster"))
        said = refused(bed)
        equal((said.code, said.text.split()[0]), (550, "5.7.1"), said.text)
        check("Restante" in said.text, said.text)
        raw = write(bed, [CAROL])
        untraced(carol.one(), raw)
        raw = write(bed, ["postmaster@b.test"])
        untraced(postmaster.one(), raw)
        equal((bob.new(), rows(bed.b, "attempts", BOB)), ([], []), "what is left of it")


def test_other_spellings_of_a_mailbox(bed):
    """A recipient without a domain, or one that the MTA rewrites, is judged as the mailbox that he is."""
    with site(bed), policy(bed.b, "@b.test", "--legacy", "reject"):
        box = Box(bed.b, "bob")
        for to in ("bob", '"bob"', "b.test!bob", '"bob@b.test"', '"bob"@B.test.', "@b.test:bob@b.test", f"bob@[{bed.b.address}]"):
            try:
                deliver(bed, letter(EVE, BOB), [to])
            except Refused as e:
                equal((e.code, e.text.split()[0]), (550, "5.7.1"), to)
            else:
                raise AssertionError(f"{to} was taken")
        with policy(bed.b, BOB, *KEEP):
            raw = letter(EVE, BOB)
            deliver(bed, raw, ["bob"])
            attempt(bed.b, BOB, EVE)
            equal(box.new(), [], "letters")
            do(bed.b, "allow", BOB, EVE)
            untraced(box.one(), raw)


def test_kept_and_released(bed):
    """Kept: 250, nothing in the Maildir, one line in the list, sealed on disk; allowed: there to the byte, with the trace of how
    it came, and the next ones come by themselves."""
    with site(bed), policy(bed.b, BOB, *KEEP):
        box, canary = Box(bed.b, "bob"), unique("canary").encode()
        small = letter(EVE, BOB, subject=canary.decode(), body=b"Hello " + canary + b"\r\n.dots\r\n\r\nno end")
        large = letter(EVE, BOB, body=(canary + b" 8-bit \xfc \xc3\xbc\r\n") * 8000)
        for raw in (small, large):
            deliver(bed, raw, mail="BODY=8BITMIME")
        seen = attempt(bed.b, BOB, EVE, waiting=2)
        equal((seen["count"], seen["kind"], seen["verified"], seen["reason"], seen["client"]),
              (2, "mail", "leg.test", "legacy-attempt", bed.x.address), "the attempt")
        equal(found_in_store(bed.b, canary), [], "files of the store with the message in the clear")
        equal(box.new(), [], "letters before anybody is allowed")

        check("2 letters" in do(bed.b, "allow", BOB, EVE), "allow")
        found = {message_id(raw): raw for raw in box.wait(2)}
        for raw in (small, large):
            got = found[message_id(raw)]
            untraced(got, raw if raw.endswith(b"\r\n") else raw + b"\r\n")
            check(f"from mx.leg.test (mx.x.test [{bed.x.address}])".encode() in got, "how it came is not in its trace")
            check(b"restante=pass" not in got and b"spf=pass smtp.mailfrom=leg.test" in got, "what is proven of it")
        equal(rows(bed.b, "attempts", BOB), [], "attempts")
        wait_for("the payloads to go", lambda: status(bed.b)["payloads"] == 0 and not files(bed), 20, 0.1)
        raw = write(bed)
        untraced(next(one for one in box.wait(3) if message_id(one) == message_id(raw)), raw)
        equal(rows(bed.b, "attempts", BOB), [], "attempts")


def test_forged_beside_the_proven(bed):
    """What was sent in a sender's name from elsewhere does not come in with his own when he is allowed, nor when his whole domain
    is; it is a line of its own then, for another word."""
    with site(bed), policy(bed.b, BOB, *KEEP):
        box = Box(bed.b, "bob")
        forged, without_sender = letter(EVE, BOB), letter(EVE, BOB)
        deliver(bed, forged, source=bed.c)
        raw = write(bed)
        deliver(bed, without_sender, sender="")
        attempt(bed.b, BOB, EVE, waiting=3)
        check("1 letter" in do(bed.b, "allow", BOB, "leg.test"), "allow of the domain")
        untraced(box.one(), raw)
        seen = attempt(bed.b, BOB, EVE, waiting=2)
        equal((seen.get("verified"), seen["kind"]), (None, "mail"), "what is left")
        write(bed)
        equal(len(box.wait(2)), 2, "letters")
        attempt(bed.b, BOB, EVE, waiting=2)
        check("2 letters" in do(bed.b, "allow", BOB, EVE), "allow of what nothing proves")
        equal(len(box.wait(4)), 4, "letters")


def test_the_same_again(bed):
    """A client that comes again after a lost 250 adds nothing."""
    with site(bed), policy(bed.b, BOB, *KEEP):
        raw = letter(EVE, BOB)
        box = Box(bed.b, "bob")
        for _ in range(3):
            deliver(bed, raw)
        equal(attempt(bed.b, BOB, EVE)["waiting"], 1, "letters that wait")
        do(bed.b, "allow", BOB, EVE)
        untraced(box.one(), raw)


def test_deleted_after_a_while(bed):
    """attempts_keep: nobody asked for it, it goes."""
    with configured(bed.b, attempts_keep="1d"), site(bed), policy(bed.b, BOB, *KEEP):
        write(bed, body=b"x" * 60000 + b"\r\n")
        attempt(bed.b, BOB, EVE)
        check(files(bed), "no payload")
        log = fetchd_log(bed.b)
        try:
            bed.b.daemons.shift_clock(2 * 86400)
            log.wait(rf"from=<{EVE}> to=<{BOB}> .*status=expired")
            wait_for("the payload to go", lambda: not files(bed), 20, 0.1)
            equal([row["waiting"] for row in rows(bed.b, "attempts", BOB) if row["sender"] == EVE] or [0], [0], "letters that wait")
        finally:
            bed.b.daemons.shift_clock(0)
            bed.b.daemons.restart("fetchd")


def test_bounded_in_octets(bed):
    """Of what may be kept for a mailbox (attempts_size) and for all (attempts_size_all), one organisation has a quarter, or, where
    nothing is proven, one network: more is asked to come again (452 4.2.2), nothing that was taken goes for it, others are kept
    still, and it is taken when there is room; what never fits is refused for all its recipients, and told why (552 5.3.4)."""
    body, big = (b"x" * 78 + b"\r\n") * 1000, (b"x" * 78 + b"\r\n") * 1400
    with configured(bed.b, attempts_size="400k", attempts_size_all="600k"), site(bed, BOB, CAROL), policy(bed.b, BOB, *KEEP), \
            policy(bed.b, CAROL, *KEEP), zones(bed, own=mail_records(bed.x.address)):
        box, alice, raw = Box(bed.b, "bob"), Box(bed.b, "alice"), write(bed, body=body)
        for recipients in ((BOB,), (BOB, CAROL)):
            e = refused(bed, recipients, body=body)
            equal((e.code, e.text[:5]), (452, "4.2.2"), "for one mailbox too much")
        for recipients in ((BOB,), (BOB, "alice@b.test")):
            e = refused(bed, recipients, body=big)
            equal((e.code, e.text[:5]), (552, "5.3.4"), "larger than all that may be kept")
            check("do not know its sender" in e.text, e.text)
        equal(alice.new(), [], "letters at who takes all")
        e = refused(bed, (CAROL,), body=body)
        equal((e.code, e.text[:5]), (452, "4.2.2"), "in all too much")
        use = {row["name"]: row for row in rows(bed.b, "quota")}
        equal({row["kind"] for row in use.values()}, {"kept"}, "kinds")
        equal({name: row["bytes_limit"] for name, row in use.items()},
              {"@kept:": 614_400, "@kept:leg.test": 153_600, f"kept:{BOB}": 409_600, f"kept:{BOB} leg.test": 102_400}, "limits")
        equal(len({row["bytes"] for row in use.values()}), 1, f"use: {use}")
        write(bed, body=body, sender="ann@own.test")
        write(bed, body=body, sender="mallory@nowhere.test")
        for mailbox in (BOB, CAROL):
            e = refused(bed, (mailbox,), body=body, sender="trudy@elsewhere.test")
            equal((e.code, e.text[:5]), (452, "4.2.2"), "too much from a network")
        attempt(bed.b, BOB, EVE)
        do(bed.b, "allow", BOB, EVE)
        equal(of([box.one()]), of([raw]), "letters")
        wait_for("the payload to go", lambda: status(bed.b)["payloads"] == 2, 20, 0.1)
        write(bed, (CAROL,), body=body)
        attempt(bed.b, CAROL, EVE)
    wait_for("nothing to count any more", lambda: rows(bed.b, "quota") == [], 20, 0.1)


def test_several_recipients(bed):
    """One message, many mailboxes: who takes it has it, who would refuse or wait has it kept, who denied its sender never sees
    it; each decides for himself."""
    with site(bed, BOB, CAROL, DAVE), policy(bed.b, BOB, *KEEP), policy(bed.b, CAROL, "--legacy", "reject"), \
            policy(bed.b, DAVE, *KEEP):
        boxes = {user: Box(bed.b, user) for user in ("bob", "carol", "dave", "alice")}
        do(bed.b, "deny", DAVE, EVE)
        raw = write(bed, [BOB, "alice@b.test", CAROL, DAVE], body=b"To all of you.\r\n" * 5000)
        untraced(boxes["alice"].one(), raw)
        for mailbox in (BOB, CAROL):
            attempt(bed.b, mailbox, EVE)
        equal(rows(bed.b, "attempts", DAVE), [], "attempts at who denied")
        do(bed.b, "deny", BOB, EVE)
        do(bed.b, "allow", CAROL, EVE)
        untraced(boxes["carol"].one(), raw)
        equal((boxes["bob"].new(), boxes["dave"].new(), len(boxes["alice"].new())), ([], [], 1), "who has it")


def test_token(bed):
    """An address for three letters serves those who know nothing of Restante, verified or not; the fourth is kept; a client's
    second try uses nothing."""
    with site(bed), policy(bed.b, BOB, *KEEP):
        box = Box(bed.b, "bob")
        address = do(bed.b, "token", "add", BOB, "--letters", "3").strip()
        raws = [write(bed, [address]), write(bed, [address], sender="shop@nowhere.test")]
        deliver(bed, raws[0], [address])
        raws.append(write(bed, [address]))
        equal(of(box.wait(4)), of(raws), "letters")
        write(bed, [address])
        equal(attempt(bed.b, BOB, EVE)["reason"], "legacy-attempt", "the fourth")
        equal(len(box.new()), 4, "letters")


def test_token_used_up_by_the_same(bed):
    """The letter that used a token up comes again, because the first try was put off, or another recipient had to be asked about:
    it is let in still; another is not."""
    with site(bed, BOB, CAROL), policy(bed.b, BOB, "--legacy", "reject"), policy(bed.b, CAROL, *KEEP):
        box = Box(bed.b, "bob")
        address = do(bed.b, "token", "add", BOB, "--letters", "1").strip()
        raw = letter(EVE, address)
        deliver(bed, raw, [address, CAROL])
        untraced(box.one(), raw)
        attempt(bed.b, CAROL, EVE)
        deliver(bed, raw, [address])
        equal(len(box.wait(2)), 2, "letters")
        equal(refused(bed, [address]).code, 550, "the next")


def test_correspondent(bed):
    """Whom bob wrote to may answer; not in his name from elsewhere; and an automatic answer of bob's is no letter to anybody."""
    with site(bed), policy(bed.b, BOB, *KEEP), Sink(bed.x) as sink:
        box = Box(bed.b, "bob")
        submit(bed.b, BOB, [EVE], letter(BOB, EVE))
        submit(bed.b, BOB, ["ada@leg.test"], letter(BOB, "ada@leg.test", fields=["Auto-Submitted: auto-replied"]))
        sink.wait(2)
        wait_for("eve to be known", lambda: [one["address"] for one in rows(bed.b, "rules", BOB, "--correspondents")] == [EVE],
                 10, 0.1)
        raw = write(bed)
        untraced(box.one(), raw)
        deliver(bed, letter(EVE, BOB), source=bed.c)
        equal(attempt(bed.b, BOB, EVE).get("verified"), None, "verified, from elsewhere")
        write(bed, sender="ada@leg.test")
        attempt(bed.b, BOB, "ada@leg.test")
        equal(len(box.new()), 1, "letters")


def test_correspondents_switched_off(bed):
    """The owner may not want that."""
    with site(bed), policy(bed.b, BOB, *KEEP, "--correspondents", "off"), Sink(bed.x) as sink:
        submit(bed.b, BOB, [EVE], letter(BOB, EVE))
        sink.one()
        write(bed)
        attempt(bed.b, BOB, EVE)
        equal(rows(bed.b, "rules", BOB, "--correspondents"), [], "whom he wrote to")


def test_allowed_only_when_proven(bed):
    """An allowed sender's name on mail from elsewhere, or with another From: kept."""
    with site(bed), policy(bed.b, BOB, *KEEP):
        box = Box(bed.b, "bob")
        do(bed.b, "allow", BOB, EVE)
        deliver(bed, letter(EVE, BOB), source=bed.c)
        attempt(bed.b, BOB, EVE)
        deliver(bed, letter("eve@a.test", BOB))
        wait_for("a second attempt", lambda: sum(row["waiting"] for row in rows(bed.b, "attempts", BOB)) == 2, 10, 0.1)
        equal(box.new(), [], "letters")
        raw = write(bed)
        untraced(box.one(), raw)


def test_denied(bed):
    """In silence: taken and gone. Told: 550 5.7.1. Whatever the rule for ordinary mail is."""
    with site(bed):
        box = Box(bed.b, "bob")
        do(bed.b, "deny", BOB, "leg.test")
        write(bed)
        with policy(bed.b, BOB, "--denial", "told"):
            said = refused(bed)
            equal((said.code, said.text.split()[0]), (550, "5.7.1"), said.text)
        raw = write(bed, sender="someone@other.test")
        untraced(box.one(), raw)
        equal(rows(bed.b, "attempts", BOB), [], "attempts")


def test_reports_on_ones_own_letters(bed):
    """A delivery report arrives, whatever the rule; what else comes from the null reverse-path is kept, and can be released."""
    for rule in ("attempt", "reject"):
        with site(bed), policy(bed.b, BOB, "--legacy", rule):
            box = Box(bed.b, "bob")
            raw = write(bed, sender="", fields=REPORT, body=b"--b\r\n\r\nnot delivered\r\n--b--\r\n")
            untraced(box.one(), raw)
            raw = letter("mailer@leg.test", BOB)
            deliver(bed, raw, sender="")
            attempt(bed.b, BOB, "mailer@leg.test")
            equal(len(box.new()), 1, "letters")
            do(bed.b, "allow", BOB, "mailer@leg.test")
            check(lf(raw) in box.wait(2)[-1] + box.wait(2)[0], "the released letter")


def test_refused_by_the_mta_on_release(bed):
    """What the MTA will not take when it is released ends, visibly; its sender hears nothing."""
    with site(bed), policy(bed.b, BOB, *KEEP), answered_at_rcpt(bed.b, BOB, "550 5.2.1 no more"), Sink(bed.x) as sink:
        log = fetchd_log(bed.b)
        write(bed)
        attempt(bed.b, BOB, EVE)
        do(bed.b, "allow", BOB, EVE)
        log.wait(rf"from=<{EVE}> to=<{BOB}> .*status=failed \(550 5.2.1")
        wait_for("the payload to go", lambda: status(bed.b)["payloads"] == 0, 20, 0.1)
        equal(sink.mails, [], "mail to the sender")


def test_deferred_by_the_mta_on_release(bed):
    """What the MTA does not take now is tried again."""
    with site(bed), policy(bed.b, BOB, *KEEP):
        box = Box(bed.b, "bob")
        with answered_at_rcpt(bed.b, BOB, "450 4.2.1 later"):
            log = fetchd_log(bed.b)
            raw = write(bed)
            attempt(bed.b, BOB, EVE)
            do(bed.b, "allow", BOB, EVE)
            log.wait(rf"from=<{EVE}> to=<{BOB}> .*status=deferred \(450 4.2.1")
        untraced(box.one(timeout=60), raw)


def test_fetchd_away(bed):
    """451 4.3.2 while nobody can say; mail for other domains of the MTA passes."""
    with site(bed), stopped(bed.b, "fetchd"):
        said = refused(bed)
        equal((said.code, said.text.split()[0]), (451, "4.3.2"), said.text)
