"""Delivery status notifications: NOTIFY, ORCPT, RET and ENVID are kept and answered by fetchd; a stub itself travels with
NOTIFY=FAILURE."""

import email
import re

from harness import Box, check, equal, letter, submit
from restante import Sink, caught, configured, dsn, letters_in, mail_records, ticket, wait_ticket, zones

NEEDS = ("restante",)
FAR = "v=restante1; h=pull.far.test; r=1"


def report(box, raw, timeout=20):
    """The one report about a letter."""
    found = box.one(containing=re.search(rb"<([^>]*)>", raw.partition(b"Message-ID:")[2]).group(1), timeout=timeout)
    return found, *dsn(found)


def quiet(bed, site, user, raw, box):
    """After a marker letter has made the whole way back, there is no report about `raw`."""
    marker = letter(f"{user}@a.test")
    submit(site, f"{user}@a.test", ["bob@b.test"], marker, rcpt="NOTIFY=SUCCESS")
    box.wait(1, containing=marker.partition(b"Message-ID: <")[2].partition(b">")[0])
    equal(box.new(raw.partition(b"Message-ID: <")[2].partition(b">")[0]), [], "reports")


def test_success(bed):
    """NOTIFY=SUCCESS: one report after the ack, with ENVID and ORCPT decoded, Action: relayed."""
    box, raw = Box(bed.a, "carol"), letter("carol@a.test")
    submit(bed.a, "carol@a.test", ["bob@b.test"], raw, mail="RET=HDRS ENVID=QQ+2B314159",
           rcpt="NOTIFY=SUCCESS ORCPT=rfc822;Bob+2Bx@b.test")
    found, message, recipients = report(box, raw)
    equal(wait_ticket(bed.a, raw, "delivered")["notify"], "SUCCESS", "NOTIFY in the ticket")
    equal(message.get("original-envelope-id"), "QQ+314159", "Original-Envelope-Id")
    check(message.get("reporting-mta", "").lower() == "dns; mx.a.test", f"Reporting-MTA: {message}")
    equal(len(recipients), 1, "recipients in the report")
    equal(recipients[0].get("action"), "relayed", "Action")
    check(recipients[0].get("status", "").startswith("2."), f"Status: {recipients[0]}")
    equal(recipients[0].get("original-recipient", "").replace(" ", ""), "rfc822;Bob+x@b.test", "Original-Recipient")
    equal(recipients[0].get("final-recipient", "").replace(" ", ""), "rfc822;bob@b.test", "Final-Recipient")
    check(found.startswith(b"Return-Path: <>"), "the report has a reverse-path")


def test_no_success_unless_asked(bed):
    """Without NOTIFY, with FAILURE, with NEVER: a delivery is not reported; nor by b."""
    box, raws = Box(bed.a, "dave"), [letter("dave@a.test") for _ in range(3)]
    for raw, rcpt in zip(raws, ("", "NOTIFY=FAILURE,DELAY", "NOTIFY=NEVER")):
        submit(bed.a, "dave@a.test", ["bob@b.test"], raw, rcpt=rcpt)
        wait_ticket(bed.a, raw, "delivered")
    for raw in raws:
        quiet(bed, bed.a, "dave", raw, box)


def test_failure(bed):
    """An unknown recipient at b: one report with ENVID, ORCPT, 5.1.1, and with RET=FULL the letter or with HDRS its header
    alone."""
    box = Box(bed.a, "carol")
    for ret, full in (("FULL", True), ("HDRS", False)):
        raw = letter("carol@a.test", "nobody@b.test", body=b"the body of the letter\r\n")
        submit(bed.a, "carol@a.test", ["nobody@b.test"], raw, mail=f"RET={ret} ENVID=E+2B1", rcpt="ORCPT=rfc822;no+2Bbody@b.test")
        found, message, recipients = report(box, raw)
        equal(message.get("original-envelope-id"), "E+1", "Original-Envelope-Id")
        equal([r.get("action") for r in recipients], ["failed"], "Action")
        equal(recipients[0].get("status"), "5.1.1", "Status")
        equal(recipients[0].get("original-recipient", "").replace(" ", ""), "rfc822;no+body@b.test", "Original-Recipient")
        equal(b"the body of the letter" in found, full, f"RET={ret}: the letter goes along")
        check(b"Subject: A letter" in found, "the letter's header does not go along")
        check(ticket(bed.a, raw)["state"] in ("bounced", "refused"), "state of the ticket")


def test_who_is_not_told_of_a_failure(bed):
    """NOTIFY=NEVER, and NOTIFY without FAILURE: nobody. FAILURE among others, in any case: told."""
    box = Box(bed.a, "carol")
    for rcpt, told in (("NOTIFY=NEVER", False), ("NOTIFY=SUCCESS", False), ("NOTIFY=DELAY", False), ("NOTIFY=SUCCESS,DELAY", False),
                       ("NOTIFY=FAILURE", True), ("NOTIFY=success,failure,delay", True)):
        raw = letter("carol@a.test", "nobody@b.test")
        submit(bed.a, "carol@a.test", ["nobody@b.test"], raw, rcpt=rcpt)
        wait_ticket(bed.a, raw, "bounced")
        if told:
            report(box, raw)
        else:
            quiet(bed, bed.a, "carol", raw, box)


def test_every_field(bed):
    """The report of a confirmation, field by field; RET=FULL brings no letter back with it (RFC 3461 4.3), and it claims no
    more than the other side said."""
    box, raw = Box(bed.a, "dave"), letter("dave@a.test", body=b"the body of the letter\r\n")
    submit(bed.a, "dave@a.test", ["bob@b.test"], raw, mail="RET=FULL ENVID=<id>+20with+20blanks",
           rcpt="NOTIFY=SUCCESS ORCPT=rfc822;bob@b.test")
    found, message, (recipient,) = report(box, raw)
    equal(sorted(message), ["arrival-date", "original-envelope-id", "reporting-mta"], "fields of the message")
    equal(message["original-envelope-id"], "<id> with blanks", "Original-Envelope-Id")
    equal(sorted(recipient), ["action", "final-recipient", "last-attempt-date", "original-recipient", "status"], "fields of the recipient")
    equal((recipient["action"], recipient["status"]), ("relayed", "2.0.0"), "Action and Status")
    parsed = email.message_from_bytes(found)
    equal([part.get_content_type() for part in parsed.walk() if not part.is_multipart()][-1], "text/rfc822-headers", "last part")
    check(b"the body of the letter" not in found and b"Subject: A letter" in found, "what goes along")
    equal((parsed["Subject"], parsed["Auto-Submitted"]), ("Successful Mail Delivery Report", "auto-replied"), "header")
    equal(parsed.get_content_type(), "multipart/report", "Content-Type")
    equal(parsed.get_param("report-type"), "delivery-status", "report-type")
    text = parsed.get_payload()[0].get_payload()
    check("does not tell whether anybody has read it" in text, f"the text: {text}")
    check("delivery-notification" not in text and "displayed" not in text, f"the text: {text}")


def test_addresses_beyond_ascii(bed):
    """RFC 6533: with SMTPUTF8 the report is message/global, its addresses as they are, whichever way ORCPT wrote them."""
    box = Box(bed.a, "carol")
    for orcpt in ("utf-8;b\\x{FC}b@b.test", "utf-8;büb@b.test"):
        raw = letter("carol@a.test", "nöbody@b.test", subject="Grüße")
        submit(bed.a, "carol@a.test", ["nöbody@b.test"], raw, mail="SMTPUTF8 BODY=8BITMIME", rcpt=f"ORCPT={orcpt}")
        found, _, (recipient,) = report(box, raw)
        for want in ("Final-Recipient: utf-8; nöbody@b.test", "Original-Recipient: utf-8; büb@b.test", "Subject: Grüße",
                     "Content-Type: message/global-delivery-status", "Content-Type: message/global-headers"):
            check(want in found.decode(), f"{want} is not in {found.decode()}")
        equal(recipient["action"], "failed", "Action")


def test_a_letter_too_large_to_come_back(bed):
    """RET=FULL, but our MTA does not take so large a report: the header alone comes back."""
    box, raw = Box(bed.a, "carol"), letter("carol@a.test", "nobody@b.test", body=(b"x" * 70 + b"\r\n") * 2000)
    with letters_in(bed.a, "-o message_size_limit=50000"):
        submit(bed.a, "carol@a.test", ["nobody@b.test"], raw, mail="RET=FULL")
        found, _, (recipient,) = report(box, raw)
    check(len(found) < 50000 and b"Subject: A letter" in found, "what goes along")
    equal((recipient["action"], recipient["status"]), ("failed", "5.1.1"), "Action and Status")


def test_configuration_asks_in_his_place(bed):
    """confirm_domains: who gave no NOTIFY gets a confirmation; what he did give is what counts."""
    box = Box(bed.a, "dave")
    with configured(bed.a, confirm_domains="b.test, A.test."):
        asked, failed = letter("dave@a.test"), letter("dave@a.test", "nobody@b.test")
        for rcpt in ("NOTIFY=NEVER", "NOTIFY=FAILURE", "NOTIFY=FAILURE,DELAY"):
            raw = letter("dave@a.test")
            submit(bed.a, "dave@a.test", ["bob@b.test"], raw, rcpt=rcpt)
            wait_ticket(bed.a, raw, "delivered")
            quiet(bed, bed.a, "dave", raw, box)
        submit(bed.a, "dave@a.test", ["bob@b.test"], asked)
        equal(report(box, asked)[2][0]["action"], "relayed", "Action")
        submit(bed.a, "dave@a.test", ["nobody@b.test"], failed)
        equal(report(box, failed)[2][0]["action"], "failed", "Action")


def test_the_stubs_own_parameters(bed):
    """On the wire: reverse-path restante+tag, NOTIFY=FAILURE, the sender's ORCPT, RET and ENVID as they were given."""
    with Sink(bed.x) as sink, zones(bed, far=mail_records(bed.x.address, FAR)):
        submit(bed.a, "alice@a.test", ["bob@far.test"], letter(to="bob@far.test"), mail="RET=FULL ENVID=a+2Bb",
               rcpt="NOTIFY=SUCCESS,DELAY ORCPT=rfc822;z+2Bz@far.test")
        mail = sink.one()
        check(mail.sender.startswith("restante+") and mail.sender.endswith("@a.test"), f"reverse-path {mail.sender}")
        check(len(mail.sender.partition("@")[0]) == 57, f"length of {mail.sender}")
        words = set(mail.mail.split()) | set(mail.recipients[0][1].split())
        for word in ("RET=FULL", "ENVID=a+2Bb", "NOTIFY=FAILURE", "ORCPT=rfc822;z+2Bz@far.test"):
            check(word in words, f"{word} is not among {words}")


def test_plain_recipients_keep_theirs(bed):
    """The plain recipient of a mixed letter has his own parameters on the wire."""
    with caught(bed, "c.test") as sink:
        raw = letter(to="bob@b.test, carol@c.test")
        submit(bed.a, "alice@a.test", [("bob@b.test", "NOTIFY=NEVER"), ("carol@c.test", "NOTIFY=SUCCESS,FAILURE "
                                                                      "ORCPT=rfc822;Z+2Bz@c.test")], raw, mail="RET=HDRS ENVID=QQ")
        mail = sink.one()
        words = set(mail.mail.split()) | set(mail.recipients[0][1].split())
        for word in ("RET=HDRS", "ENVID=QQ", "NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;Z+2Bz@c.test"):
            check(word in words, f"{word} is not among {words}")
        check(raw in mail.raw, "the plain copy is not the letter")


def test_parameters_at_the_end(bed):
    """The letter that b delivers onwards carries NOTIFY without SUCCESS: one success report, fetchd's, not two."""
    box, raw = Box(bed.a, "dave"), letter("dave@a.test")
    submit(bed.a, "dave@a.test", ["bob@b.test"], raw, rcpt="NOTIFY=SUCCESS,FAILURE")
    wait_ticket(bed.a, raw, "delivered")
    report(box, raw)
    quiet_raw = letter("dave@a.test")
    submit(bed.a, "dave@a.test", ["bob@b.test"], quiet_raw, rcpt="NOTIFY=SUCCESS")
    report(box, quiet_raw)
    report(box, raw)
