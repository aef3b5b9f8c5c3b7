"""Sendmail at site a, with the lines of packaging/sendmail: letters as stubs to b's Postfix, letters from b called for and
handed to Sendmail, stubs that bounce, Sendmail's own refusals, people's answers; TLS between the two.
"""

from bedlib.sendmail import Sendmail
from harness import Box, Refused, Smtp, check, equal, letter, mail_log, submit, untraced, wait_for
from restante import Sink, bare_id, dsn, fetchd_log, mail_records, stopped, ticket, tickets, wait_ticket, zones

NEEDS = ("restante",)
TIMEOUT = 120
FAR = "v=restante1; h=pull.far.test; r=1"
_here = []


def mta(bed):
    """Sendmail runs from the first case to the last of this file."""
    if not _here:
        _here.append(Sendmail(bed.a))
        try:
            _here[0].__enter__()
        except BaseException:
            _here.clear()
            raise
    return _here[0]


def finish(_):
    while _here:
        _here.pop().__exit__()


def send(bed, sender, recipients, raw, **options):
    mta(bed)
    with Smtp(bed.a, port=587) as smtp:
        smtp.send(sender, recipients, raw, **options)


def one_failure(box, raw, recipient, words):
    """The one report about a letter: of its failure, in the words of whoever refused it."""
    found, = box.wait(1, containing=bare_id(raw).encode())
    _, recipients = dsn(found)
    equal([(r["action"], r["final-recipient"].replace(" ", "")) for r in recipients], [("failed", f"rfc822;{recipient}")], "report")
    check(words in recipients[0].get("diagnostic-code", ""), f"Diagnostic-Code: {recipients[0]}")
    check(b"restante+" not in found and b"Restante-Stub" not in found, "the report speaks of the stub")
    return recipients[0]


def test_a_letter_goes_to_b(bed):
    """Submitted to Sendmail, announced by a stub, called for, there to the byte; the sender is told. A plain recipient beside
    it gets the letter from Sendmail."""
    mta(bed)
    boxes, told = (Box(bed.b, "bob"), Box(bed.c, "carol")), Box(bed.a, "alice")
    raw = letter(to="bob@b.test, carol@c.test", body=b"From Sendmail.\r\n.\r\nFrom here\r\n" + b"x" * 900 + b"\r\n")
    send(bed, "alice@a.test", [("bob@b.test", "NOTIFY=SUCCESS ORCPT=rfc822;bob@b.test"), "carol@c.test"], raw, mail="ENVID=QQ+2B1")
    for box in boxes:
        untraced(box.one(containing=bare_id(raw).encode()), raw)
    t = wait_ticket(bed.a, raw, "delivered")
    equal(t["notify"], "SUCCESS", "NOTIFY")
    check(t["stub_queue_id"] and t["queue_id"], f"Sendmail's queue ids: {t}")
    message, recipients = dsn(told.one(containing=bare_id(raw).encode()))
    equal((message["original-envelope-id"], recipients[0]["action"]), ("QQ+1", "relayed"), "report")


def test_a_letter_comes_from_b(bed):
    """b's stub to Sendmail is taken; the letter is called for and handed to Sendmail, to the byte."""
    mta(bed)
    box, raw = Box(bed.a, "carol"), letter("dave@b.test", "carol@a.test", body=b"To Sendmail.\r\n.\r\n" + b"y" * 70000 + b"\r\n")
    log = mail_log(bed.b)
    submit(bed.b, "dave@b.test", ["carol@a.test"], raw)
    found = box.one(containing=bare_id(raw).encode(), timeout=40)
    check(b"restante=pass" in found, "its proof is not told")
    untraced(found, raw)
    wait_ticket(bed.b, raw, "delivered")
    check(log.find("Verified TLS connection established to mx.a.test"), "b's stub came without TLS")


def test_tls_towards_others(bed):
    """Sendmail speaks TLS to whoever offers it."""
    mta(bed)
    box, raw = Box(bed.c, "carol"), letter("carol@a.test", "carol@c.test")
    send(bed, "carol@a.test", ["carol@c.test"], raw)
    found = box.one(containing=bare_id(raw).encode())
    check(b"(using TLSv1.3 with cipher" in found, f"c got it without TLS: {found[:600]}")


def test_a_stub_comes_back(bed):
    """b's Postfix refuses the stub; Sendmail's report on it comes to the reverse-path and through its own mailer to fetchd; so
    does that of a domain that is gone."""
    mta(bed)
    box, raw = Box(bed.a, "carol"), letter("carol@a.test", "nobody@b.test")
    send(bed, "carol@a.test", ["nobody@b.test"], raw)
    recipient = one_failure(box, raw, "nobody@b.test", "User unknown")
    equal(recipient["status"], "5.1.1", "Status")
    equal(recipient.get("remote-mta"), "dns; mx.b.test", "Remote-MTA")
    equal(wait_ticket(bed.a, raw, "bounced")["reason"], "5.1.1", "reason")
    equal(len(tickets(bed.a, message_id=bare_id(raw))), 1, "tickets")


def test_sendmail_refuses_the_stub(bed):
    """550 of our own Sendmail to the stub: the ticket ends at once, one report."""
    mta(bed)
    box, raw = Box(bed.a, "carol"), letter("carol@a.test", "refused@far.test")
    with zones(bed, far=mail_records(bed.x.address, FAR)):
        send(bed, "carol@a.test", ["refused@far.test"], raw)
        recipient = one_failure(box, raw, "refused@far.test", "no stubs for him")
    equal(recipient["status"], "5.7.1", "Status")
    wait_ticket(bed.a, raw, "bounced")


def test_sendmail_refuses_the_letter(bed):
    """550 of Sendmail to a letter that was called for: nack, and b's sender hears Sendmail's words."""
    mta(bed)
    box, raw = Box(bed.b, "carol"), letter("carol@b.test", "gone@a.test")
    submit(bed.b, "carol@b.test", ["gone@a.test"], raw)
    equal(wait_ticket(bed.b, raw, "refused")["reason"], "mta-refused", "reason")
    equal(one_failure(box, raw, "gone@a.test", "he is gone")["status"], "5.1.1", "Status")


def test_answers_and_forged_reports(bed):
    """A person's answer to a stub's reverse-path reaches the letter's sender to the byte; a tag that is none is refused."""
    mta(bed)
    box, log = Box(bed.a, "carol"), fetchd_log(bed.a)
    with Sink(bed.x) as sink, zones(bed, far=mail_records(bed.x.address, FAR)):
        raw = letter("carol@a.test", "bob@far.test")
        send(bed, "carol@a.test", ["bob@far.test"], raw)
        back = sink.one().sender
        for sender in ("bob@far.test", ""):
            answer = letter("bob@far.test", back, body=b"Thanks.\r\n.\r\nFrom here\r\n")
            with Smtp(bed.x, bed.a.address) as smtp:
                smtp.send(sender, [back], answer)
            found, = box.wait(1, containing=bare_id(answer).encode())
            untraced(found, answer)
            log.wait(rf"ticket={ticket(bed.a, raw)['id'][4:12]} .*status=passed-on")
        for name in ("restante", "restante+00", back.partition("@")[0][:-1] + "x"):
            try:
                with Smtp(bed.x, bed.a.address) as smtp:
                    smtp.send("", [f"{name}@a.test"], answer)
                check(False, f"{name}@ was accepted")
            except Refused as e:
                check(e.code == 550, f"{name}@: {e}")
        equal(ticket(bed.a, raw)["state"], "waiting", "state")


def test_while_fetchd_is_away(bed):
    """A bounce waits in Sendmail's queue until fetchd is back; a submission meanwhile gets 451."""
    there = mta(bed)
    box, log = Box(bed.a, "carol"), letter("carol@a.test", "bob@far.test")
    with Sink(bed.x) as sink, zones(bed, far=mail_records(bed.x.address, FAR)):
        send(bed, "carol@a.test", ["bob@far.test"], log)
        back = sink.one().sender
    answer = letter("bob@far.test", back)
    with stopped(bed.a, "fetchd"):
        try:
            send(bed, "alice@a.test", ["bob@b.test"], letter())
            check(False, "a letter was taken without fetchd")
        except Refused as e:
            equal(e.code, 451, "answer")
        # From this host, whose mail to the site's own domains is not asked about.
        with Smtp(bed.a) as smtp:
            smtp.send("", [back], answer)
        wait_for("it to wait", there.queued, 20, 0.1)
    untraced(box.one(containing=bare_id(answer).encode(), timeout=60), answer)
