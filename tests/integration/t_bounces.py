"""Stubs that come back: refused in SMTP by the remote side or by the site's own Postfix, or returned later, they end their
ticket at once, and the sender hears of his letter exactly once. What else comes to a stub's reverse-path changes nothing:
delayed and other reports, forged ones, late ones, the same twice; people's answers reach the letter's sender to the byte.
"""

import contextlib
import re

from harness import Box, Refused, Smtp, check, equal, letter, submit, unique, untraced, wait_for
from restante import Sink, bare_id, dsn, fetchd_log, mail_records, main_cf, master_cf, ticket, tickets, wait_ticket, zones

NEEDS = ("restante",)
FAR = "v=restante1; h=pull.far.test; r=1"


def told_once(bed, box, raw, recipient, status, words, mta=None):
    """The ticket is bounced with the other side's words; the sender has one report, and it speaks of his letter."""
    t = wait_ticket(bed.a, raw, "bounced", recipient)
    check(words in t["text"], f"text of the ticket: {t}")
    found, = box.wait(1, containing=bare_id(raw).encode())
    message, recipients = dsn(found)
    equal([r.get("action") for r in recipients], ["failed"], "Action")
    equal(recipients[0].get("status"), status, "Status")
    equal(recipients[0].get("final-recipient", "").replace(" ", ""), f"rfc822;{recipient}", "Final-Recipient")
    check(words in recipients[0].get("diagnostic-code", ""), f"Diagnostic-Code: {recipients[0]}")
    for word in (b"Return-Path: <>", b"Subject: A letter", b"Auto-Submitted: auto-replied"):
        check(word in found, f"{word} is not in the report: {found!r}")
    check(b"Restante-Stub" not in found and b"restante+" not in found, "the report speaks of the stub")
    check(message["reporting-mta"] == "dns; mx.a.test" and "arrival-date" in message, f"message fields: {message}")
    check("last-attempt-date" in recipients[0], f"Last-Attempt-Date: {recipients[0]}")
    equal(recipients[0].get("remote-mta"), mta, "Remote-MTA")


def nothing_more(bed, box, raws):
    """A later letter of his has been reported on; of these letters there is one report each."""
    marker = letter("carol@a.test", "nobody@b.test")
    submit(bed.a, "carol@a.test", ["nobody@b.test"], marker)
    box.wait(1, containing=bare_id(marker).encode())
    for raw in raws:
        equal(len(box.new(bare_id(raw).encode())), 1, "reports")


# --- stubs that come back

@contextlib.contextmanager
def plain_site(bed, **parameters):
    """rc.test says that it takes stubs, and has c's Postfix, which knows nothing of Restante, for its MX."""
    with zones(bed, rc=mail_records(bed.c.address, "v=restante1; h=pull.rc.test; r=1")), \
            main_cf(bed.c, virtual_mailbox_domains="c.test, rc.test", **parameters):
        yield


def test_refused_by_the_remote_side(bed):
    """550 at RCPT and at the end of the data, by a real Postfix."""
    box, raws = Box(bed.a, "carol"), [letter("carol@a.test", f"{user}@rc.test") for user in ("nobody", "bob")]
    path = f"{bed.c.mta.conf}/stub_checks"
    with open(path, "w", encoding="utf-8") as f:
        f.write("/^Restante-Stub:/ REJECT 5.7.1 not this\n")
    aliases = f"{bed.c.mta.main['virtual_alias_maps']}, inline:{{ bob@rc.test=bob@c.test }}"
    with plain_site(bed, header_checks=f"regexp:{path}", virtual_alias_maps=aliases):
        for raw, user, status, words in zip(raws, ("nobody", "bob"), ("5.1.1", "5.7.1"), ("User unknown", "not this")):
            submit(bed.a, "carol@a.test", [f"{user}@rc.test"], raw)
            told_once(bed, box, raw, f"{user}@rc.test", status, words, "dns; mx.rc.test")
    nothing_more(bed, box, raws)


def test_returned_later(bed):
    """c's Postfix accepts the stub, forwards it, and returns it when the forward is refused."""
    box, raw = Box(bed.a, "carol"), letter("carol@a.test", "gone@rc.test")
    aliases = f"{bed.c.mta.main['virtual_alias_maps']}, inline:{{ gone@rc.test=nobody@b.test }}"
    with plain_site(bed, virtual_alias_maps=aliases):
        submit(bed.a, "carol@a.test", ["gone@rc.test"], raw)
        told_once(bed, box, raw, "gone@rc.test", "5.1.1", "User unknown", "dns; mx.b.test")
    nothing_more(bed, box, [raw])


@contextlib.contextmanager
def stubs_out(site, *options):
    """The listener for stubs runs with further options; fetchd's kept connections have the old ones, so it is restarted."""
    with master_cf(site, "127.0.0.1:10026", *options):
        site.daemons.restart("fetchd")
        yield
    site.daemons.restart("fetchd")


def test_refused_by_our_own_postfix(bed):
    """By its size limit, header_checks, and a recipient that it does not take there: a stub that does not leave."""
    box, raws = Box(bed.a, "carol"), []
    path = f"{bed.a.mta.conf}/stub_checks"
    with open(path, "w", encoding="utf-8") as f:
        f.write("/^Restante-Stub:/ REJECT 5.7.1 no stubs from here\n")
    away = "-o { smtpd_recipient_restrictions = check_recipient_access inline:{ { rcpt@far.test = 550 5.4.1 not today } } }"
    for name, change, status, words in (
            ("size", stubs_out(bed.a, "-o message_size_limit=100"), "5.3.4", "size"),
            ("checks", main_cf(bed.a, header_checks=f"regexp:{path}"), "5.7.1", "no stubs from here"),
            ("rcpt", stubs_out(bed.a, away), "5.4.1", "not today")):
        raw = letter("carol@a.test", f"{name}@far.test")
        raws.append(raw)
        with zones(bed, far=mail_records(bed.x.address, FAR)), change:
            submit(bed.a, "carol@a.test", [f"{name}@far.test"], raw)
            told_once(bed, box, raw, f"{name}@far.test", status, words)
    nothing_more(bed, box, raws)


def test_without_a_recipient_delimiter(bed):
    """The lines that packaging/postfix/main.cf.restante has for a Postfix without one: the bounce comes home all the same."""
    with open(f"{bed.source}/packaging/postfix/main.cf.restante", encoding="utf-8") as f:
        lines = re.findall(r"(?m)^#   (/\^.*)$", f.read())
    main = bed.a.mta.main
    for name, line in zip(("alias", "transport"), lines):
        with open(f"{bed.a.mta.conf}/restante_{name}", "w", encoding="utf-8") as f:
            f.write(line.replace("a\\.example", "a\\.test") + "\n")
    equal(len(lines), 2, "lines")
    inline = "restante@a.test=restante@a.test", "restante@a.test=restante:"
    without = {name: re.sub(rf",? *inline:{{ {re.escape(text)} }}", "", main[name])
               for name, text in zip(("virtual_alias_maps", "transport_maps"), inline)}
    box, raw = Box(bed.a, "carol"), letter("carol@a.test", "nobody@b.test")
    with main_cf(bed.a, recipient_delimiter="",
                 virtual_alias_maps=f"{without['virtual_alias_maps']}, regexp:{bed.a.mta.conf}/restante_alias",
                 transport_maps=f"{without['transport_maps']}, regexp:{bed.a.mta.conf}/restante_transport".lstrip(", ")):
        submit(bed.a, "carol@a.test", ["nobody@b.test"], raw)
        told_once(bed, box, raw, "nobody@b.test", "5.1.1", "User unknown", "dns; mx.b.test")


# --- what else comes there

def report(recipient, action, *, status="5.1.1", text="550 5.1.1 no such user", boundary="b1"):
    """A delivery report as an MTA writes it."""
    return (f"From: MAILER-DAEMON@far.test\r\nTo: {recipient}\r\nSubject: {unique('report')}\r\n"
            f"Message-ID: <{unique()}@far.test>\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
            f'Content-Type: multipart/report; report-type=delivery-status; boundary="{boundary}"\r\n\r\n'
            f"--{boundary}\r\n\r\nWords.\r\n--{boundary}\r\nContent-Type: message/delivery-status\r\n\r\n"
            f"Reporting-MTA: dns; mx.far.test\r\n\r\nFinal-Recipient: rfc822; bob@far.test\r\nAction: {action}\r\n"
            f"Status: {status}\r\nRemote-MTA: dns; inner.far.test\r\nDiagnostic-Code: smtp; {text}\r\n\r\n"
            f"--{boundary}\r\nContent-Type: text/rfc822-headers\r\n\r\nSubject: x\r\n\r\n--{boundary}--\r\n").encode()


@contextlib.contextmanager
def waiting(bed, user="bob"):
    """A letter of carol's whose stub far.test has taken: (letter, the stub's reverse-path)."""
    with Sink(bed.x) as sink, zones(bed, far=mail_records(bed.x.address, FAR)):
        raw = letter("carol@a.test", f"{user}@far.test")
        submit(bed.a, "carol@a.test", [f"{user}@far.test"], raw)
        back = sink.one().sender
        wait_for("the stub to be known as sent", lambda: ticket(bed.a, raw)["stub_sent"], 10, 0.05)
        yield raw, back


def send_back(bed, back, raw, sender=""):
    """A stranger's host hands something in for the reverse-path."""
    with Smtp(bed.x, bed.a.address) as smtp:
        smtp.send(sender, [back], raw)


def test_reports_that_are_no_failure(bed):
    """delayed, relayed, delivered and expanded are logged, and that is all; failed ends it; again is only logged."""
    box = Box(bed.a, "carol")
    with waiting(bed) as (raw, back):
        log, id_ = fetchd_log(bed.a), ticket(bed.a, raw)["id"][4:12]
        for n, action in enumerate(("delayed", "relayed", "delivered", "expanded", "Delayed (still trying)"), 1):
            send_back(bed, back, report(back, action, status="4.0.0", text="451 4.0.0 later"))
            wait_for(f"{action} to be logged", lambda: len(log.find(rf"ticket={id_} .*status=ignored")) == n, 20, 0.05)
        equal(ticket(bed.a, raw)["state"], "waiting", "state")
        send_back(bed, back, report(back, "failed"))
        told_once(bed, box, raw, "bob@far.test", "5.1.1", "no such user", "dns; inner.far.test")
        send_back(bed, back, report(back, "failed", text="550 5.1.1 again"))
        wait_for("the second one to be logged", lambda: len(log.find(rf"ticket={id_} .*status=ignored")) == 6, 20, 0.05)
        check("no such user" in ticket(bed.a, raw)["text"], "the second report changed the ticket")
        nothing_more(bed, box, [raw])


def test_after_the_hand_over(bed):
    """A bounce of a stub whose letter was delivered: logged, no change, nobody is told."""
    box, raw = Box(bed.a, "carol"), letter("carol@a.test")
    log, stubs = fetchd_log(bed.a), bed.a.mta.log
    submit(bed.a, "carol@a.test", ["bob@b.test"], raw)
    t = wait_ticket(bed.a, raw, "delivered")
    with open(stubs, encoding="utf-8", errors="replace") as f:
        back = re.findall(rf"{t['stub_queue_id']}: from=<(restante\+[0-9a-f]+@a\.test)>", f.read())[0]
    send_back(bed, back, report(back, "failed"))
    log.wait(rf"ticket={t['id'][4:12]} .*status=ignored")
    equal(ticket(bed.a, raw)["state"], "delivered", "state")
    equal(box.new(bare_id(raw).encode()), [], "reports")


def test_forged(bed):
    """No tag, a wrong one, another letter's with one digit changed: refused while the client waits; by sendmail(1), which is
    asked nothing, dropped and logged. Nothing changes, nobody gets a bounce."""
    with waiting(bed) as (raw, back):
        tag = back.partition("+")[2].partition("@")[0]
        altered = tag[:-1] + ("0" if tag[-1] != "0" else "1")
        for n, name in enumerate(("restante", "restante+", "restante+00", f"restante+{altered}", f"restante+{tag[:-2]}",
                                  f"restante+{tag}00", f"restante+{altered[::-1]}", "Restante+" + "f" * 48)):
            try:
                send_back(bed, f"{name}@a.test", report(back, "failed"), sender="" if n % 2 else "eve@x.test")
                check(False, f"{name}@ was accepted")
            except Refused as e:
                check(e.code == 550 and "5.1.1" in e.text, f"{name}@: {e}")
        log = fetchd_log(bed.a)
        bed.a.mta.sendmail("-f", "eve@x.test", f"restante+{altered}@a.test", letter=report(back, "failed"))
        log.wait(rf"to=<restante\+{altered}@a.test> .*reason=no-stub .*status=dropped")
        equal(ticket(bed.a, raw)["state"], "waiting", "state")
        check(tag not in log.text(), "the tag is in the log")


def test_mixed_recipients(bed):
    """restante@ without a tag beside a mailbox: the mailbox gets the message, the other is dropped."""
    box, raw = Box(bed.a, "dave"), letter("eve@x.test", "dave@a.test")
    with Smtp(bed.x, bed.a.address) as smtp:
        smtp.send("eve@x.test", ["restante@a.test", "dave@a.test"], raw)
    untraced(box.one(containing=bare_id(raw).encode()), raw)


def test_answers_are_passed_on(bed):
    """A person's answer and an absence notice reach the sender to the byte, from whom they came; large ones too; nothing
    happens to the ticket."""
    box = Box(bed.a, "carol")
    with waiting(bed) as (raw, back):
        bodies = ((), b"Thanks, it came.\r\n.\r\n..two\r\nFrom here\r\n"), (("Auto-Submitted: auto-replied",), b"I am away.\r\n"), \
            ((), (b"x" * 70 + b"\r\n") * 60000), ((), b"\xfc\xff 8 bit \x01 and no end")
        for n, (fields, body) in enumerate(bodies):
            sender = "" if fields else "bob@far.test"
            answer = letter("bob@far.test", back, body=body, fields=fields)
            send_back(bed, back, answer, sender)
            found, = box.wait(1, containing=bare_id(answer).encode())
            untraced(found, answer)
            check(found.startswith(f"Return-Path: <{sender}>".encode()), f"reverse-path of answer {n}: {found[:80]!r}")
        equal(ticket(bed.a, raw)["state"], "waiting", "state")


def odd_messages(back):
    """Nearly reports: (name, message)."""
    good = report(back, "failed")
    head, _, parts = good.partition(b"\r\n\r\n")
    yield "no parts", head + b"\r\n\r\n"
    yield "only a preamble", head + b"\r\n\r\nnothing here\r\n"
    yield "no final boundary, no status", head + b"\r\n\r\n--b1\r\n\r\nWords.\r\n"
    yield "another type", good.replace(b"multipart/report", b"multipart/mixed")
    yield "another report", good.replace(b"report-type=delivery-status", b"report-type=disposition-notification")
    yield "no report-type", good.replace(b"report-type=delivery-status; ", b"")
    yield "another boundary", good.replace(b'boundary="b1"', b'boundary="b2"')
    yield "no boundary", good.replace(b'; boundary="b1"', b"")
    yield "no action", good.replace(b"Action: failed\r\n", b"")
    yield "an unknown action", good.replace(b"Action: failed", b"Action: burnt")
    yield "the status is text", good.replace(b"message/delivery-status", b"text/plain")
    yield "nested", (head.replace(b"multipart/report; report-type=delivery-status", b"multipart/mixed").replace(b"b1", b"b0")
                     + b"\r\n\r\n--b0\r\nContent-Type: message/rfc822\r\n\r\n" + good + b"\r\n--b0--\r\n")
    yield "the status behind 2 MB", head + b"\r\n\r\n" + parts.replace(b"Words.\r\n", (b"w" * 70 + b"\r\n") * 30000)
    yield "10 MB of nothing", head + b"\r\n\r\n" + (b"--b1" + b"x" * 70 + b"\r\n") * 135000


def test_reports_that_are_none(bed):
    """Whatever is not a delivery report in form is not taken for one: it goes to the sender, as any answer does."""
    box = Box(bed.a, "carol")
    with waiting(bed) as (raw, back):
        for name, odd in odd_messages(back):
            send_back(bed, back, odd)
            wait_for(f"{name} to be passed on", lambda: box.new(bare_id(odd).encode()), 30, 0.05)
            equal(ticket(bed.a, raw)["state"], "waiting", f"state after {name}")


def test_reports_with_odd_bytes(bed):
    """NUL, bare CR and LF, 8 bit and endless lines in a report: it is read all the same, or it is passed on; never more."""
    for n, odd in enumerate((b"\0", b"\r", b"\n", b"\xff\xfe", b"y" * 200000)):
        with waiting(bed, f"odd{n}") as (raw, back):
            good = report(back, "failed").replace(b"Diagnostic-Code: smtp; 550", b"Diagnostic-Code: smtp; 550 " + odd)
            bed.a.mta.sendmail("-f", "", back, letter=good)
            wait_ticket(bed.a, raw, "bounced")


def test_each_recipient_for_himself(bed):
    """One letter to two: one stub bounces, the other is delivered; one report, of the one."""
    boxes, raw = (Box(bed.a, "carol"), Box(bed.b, "bob")), letter("carol@a.test", "nobody@b.test, bob@b.test")
    submit(bed.a, "carol@a.test", ["nobody@b.test", "bob@b.test"], raw)
    untraced(boxes[1].one(containing=bare_id(raw).encode()), raw)
    told_once(bed, boxes[0], raw, "nobody@b.test", "5.1.1", "User unknown", "dns; mx.b.test")
    wait_ticket(bed.a, raw, "delivered", "bob@b.test")
    equal(len(tickets(bed.a, message_id=bare_id(raw))), 2, "tickets")
    nothing_more(bed, boxes[0], [raw])
