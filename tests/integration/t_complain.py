"""Complaints: restantectl complain shows a report in the Abuse Reporting Format (RFC 5965) and sends it to whoever answers for the
sender's domain; it names domain, link host and certificate, and no key."""

import contextlib
import email
import email.policy
import os
import pty
import subprocess

from harness import Box, Smtp, check, equal, letter, submit
from owner import attempt, clean, do, policy, refused, rows
from restante import Sink, caught, jobs, main_cf, stub_tags, wait_ticket

NEEDS = ("restante",)


@contextlib.contextmanager
def abuse_desk(bed):
    """What b sends to a.test comes to a sink."""
    with Sink(bed.x) as sink:
        with main_cf(bed.b, transport_maps=f"{bed.b.mta.main['transport_maps']}, inline:{{ a.test=smtp:[{bed.x.address}] }}"):
            yield sink


def delivered(bed):
    """A letter of alice's that bob got; its text and its job at b."""
    raw = letter(subject="buy this")
    known = {job["id"] for job in jobs(bed.b)}
    submit(bed.a, "alice@a.test", ["bob@b.test"], raw)
    wait_ticket(bed.a, raw, "delivered")
    return raw, next(job for job in jobs(bed.b) if job["id"] not in known)


def parts_of(text):
    message = email.message_from_bytes(text, policy=email.policy.default)
    equal((message.get_content_type(), message["content-type"].params["report-type"]), ("multipart/report", "feedback-report"), "type")
    parts = list(message.iter_parts())
    equal([part.get_content_type() for part in parts], ["text/plain", "message/feedback-report", "text/rfc822-headers"], "parts")
    report = parts[1].get_payload()[0]
    return message, parts[0].get_content(), {name.lower(): str(value) for name, value in report.items()}, parts[2]


def test_what_is_kept(bed):
    """The proven domain, the link host, its certificate's issuer and serial stand with the job."""
    job = rows(bed.b, "job", delivered(bed)[1]["id"])[0]
    equal((job["verified"], job["link_host"], job["mailbox"]), ("a.test", "pull.a.test:443", "bob@b.test"), "domain, host, mailbox")
    check(job["certificate_issuer"] and job["certificate_serial"], f"the certificate: {job}")
    check(job["admission"] in do(bed.b, "jobs"), "the reason in the table")


def test_shown_and_sent(bed):
    """--dry-run shows what --yes sends; Postfix takes it there; Python's email package reads it back."""
    _, job = delivered(bed)
    shown = do(bed.b, "complain", job["id"][:12], "--dry-run")
    with abuse_desk(bed) as desk:
        text = do(bed.b, "complain", job["id"][:12], "--yes")
        check(text.startswith("sent to abuse@a.test: 250 "), text)
        mail = desk.one()
    equal((mail.sender, [to for to, _ in mail.recipients]), ("postmaster@b.test", ["abuse@a.test"]), "envelope")
    message, human, report, header = parts_of(mail.raw)
    equal((message["from"], message["to"]), ("postmaster@b.test", "abuse@a.test"), "From and To")
    equal(message["auto-submitted"], "auto-generated", "Auto-Submitted")
    job = rows(bed.b, "job", job["id"])[0]
    want = {"feedback-type": "abuse", "version": "1", "original-mail-from": "<alice@a.test>", "original-rcpt-to": "<bob@b.test>",
            "reporting-mta": "dns; mx.b.test", "source-ip": job["client"], "reported-domain": "a.test",
            "reported-uri": "https://pull.a.test/", "restante-verified-domain": "a.test", "restante-link-host": "pull.a.test:443",
            "restante-certificate-issuer": job["certificate_issuer"], "restante-certificate-serial": job["certificate_serial"]}
    equal({name: report.get(name) for name in want}, want, "the report's fields")
    check(report["user-agent"].startswith("Restante/"), "User-Agent")
    check(report["arrival-date"], "Arrival-Date")
    check("a.test" in human and job["certificate_issuer"] in " ".join(human.split()), f"for people: {human}")
    check("Restante-Stub: v=1; u=https://pull.a.test/;" in " ".join(header.get_payload().split()), "the stub's field")
    for line in ("Feedback-Type: abuse", "Reported-Domain: a.test", "To: <abuse@a.test>"):
        check(line in shown, f"--dry-run lacks {line}")


def test_no_key_is_in_it(bed):
    """Of the real stub's field, neither keys nor the ticket's path; nor the tag of its reverse-path."""
    with caught(bed, "b.test") as sink:
        submit(bed.a, "alice@a.test", ["bob@b.test"], letter())
        mail = sink.one()
    tags = stub_tags(mail.raw)
    known = {job["id"] for job in jobs(bed.b)}
    box = Box(bed.b, "bob")
    with Smtp(bed.a, bed.b.address, 25, helo="mx.a.test") as smtp:
        smtp.send(mail.sender, ["bob@b.test"], mail.raw)
    box.one()
    job = next(job for job in jobs(bed.b) if job["id"] not in known)
    shown = do(bed.b, "complain", job["id"], "--dry-run")
    path = tags["u"].split("/restante/1/")[1].split("/")
    for secret in (tags["a"], tags["d"], *path, mail.sender.partition("+")[2].partition("@")[0]):
        check(secret not in shown and secret not in do(bed.b, "job", job["id"]), "a secret is shown")


def test_nobody_to_ask(bed):
    """Without a terminal nothing is sent unless --yes says so."""
    _, job = delivered(bed)
    with abuse_desk(bed) as desk:
        refused(bed.b, "complain", job["id"], status=64)
        equal(desk.mails, [], "mail at the desk")
    check("no job begins with" in refused(bed.b, "complain", "0123456789ab", "--yes"), "an unknown job")


def test_asked_on_a_terminal(bed):
    """The report is shown, then a question: anything but yes sends nothing."""
    _, job = delivered(bed)
    with abuse_desk(bed) as desk:
        for answer, count in ((b"n\n", 0), (b"\n", 0), (b"y\n", 1)):
            master, slave = pty.openpty()
            with bed.b.inside():
                child = subprocess.Popen([*bed.b.daemons.restantectl_argv(), "complain", job["id"]],
                                         stdin=slave, stdout=slave, stderr=slave)
            os.close(slave)
            os.write(master, answer)
            text = b""
            with contextlib.suppress(OSError):  # EIO: the child is gone
                while piece := os.read(master, 65536):
                    text += piece
            os.close(master)
            equal(child.wait(), 0, "status")
            check(text.index(b"Feedback-Type: abuse") < text.index(b"Send this to abuse@a.test? [y/N]"), f"{text}")
            equal(b"sent to abuse@a.test" in text, bool(count), f"sent after {answer}")
        desk.wait(1)
        equal(len(desk.mails), 1, "reports sent")


def test_a_contact_attempt(bed):
    """What only waits can be complained about too, by the job that stands with the attempt."""
    with clean(bed.b, "bob@b.test"), policy(bed.b, "bob@b.test", "known"):
        submit(bed.a, "alice@a.test", ["bob@b.test"], letter())
        seen = attempt(bed.b, "bob@b.test", "alice@a.test")
        shown = do(bed.b, "complain", seen["jobs"].split()[0], "--dry-run")
        check("Reported-Domain: a.test" in shown and "Restante-Link-Host: pull.a.test:443" in shown, shown)


def test_the_domain_names_its_desk(bed):
    """a= of the sender's designation goes before abuse@."""
    _, job = delivered(bed)
    before = next(line for line in bed.dns.records("a.test") if line.split()[:2] == ["_restante", "TXT"])
    try:
        bed.dns.replace("a.test", "_restante TXT", before.replace("a=abuse@a.test", "a=desk@help.test"))
        bed.dns.flush()
        bed.b.daemons.restart("fetchd")
        check("To: <desk@help.test>" in do(bed.b, "complain", job["id"], "--dry-run"), "who it goes to")
    finally:
        bed.dns.replace("a.test", "_restante TXT", before)
        bed.dns.flush()
        bed.b.daemons.restart("fetchd")


def test_the_mta_refuses(bed):
    """Postfix takes no mail: told so, and nothing else happens."""
    _, job = delivered(bed)
    with main_cf(bed.b, message_size_limit="500"):
        check("not sent" in refused(bed.b, "complain", job["id"], "--yes"), "the MTA's refusal")
