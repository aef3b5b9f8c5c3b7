"""What never becomes a stub, though the recipient's domain takes them: the null reverse-path, delivery reports, and mail to
the site's own domains."""

from harness import Box, Smtp, check, equal, letter, submit
from restante import Sink, bare_id, configured, mail_records, tickets, zones

NEEDS = ("restante",)
FAR = "v=restante1; h=pull.far.test; r=1"
REPORT = ('MIME-Version: 1.0', 'Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary="b"')


def none_of(bed, raw):
    equal(tickets(bed.a, message_id=bare_id(raw)), [], "tickets")


def test_null_reverse_path(bed):
    """MAIL FROM:<>."""
    with Sink(bed.x) as sink, zones(bed, far=mail_records(bed.x.address, FAR)):
        raw = letter(to="bob@far.test")
        with Smtp(bed.a, port=587) as smtp:
            smtp.login("alice@a.test")
            smtp.send("", ["bob@far.test"], raw)
        check(raw in sink.one().raw, "it did not go plain")
        none_of(bed, raw)


def test_reports(bed):
    """multipart/report, folded and in odd case, with an ordinary reverse-path; multipart/mixed is a letter."""
    with Sink(bed.x) as sink, zones(bed, far=mail_records(bed.x.address, FAR)):
        body = b"--b\r\n\r\nnot delivered\r\n--b--\r\n"
        for number, kind in enumerate((REPORT[1], "Content-type:MULTIPART/Report;report-type=disposition-notification;boundary=b",
                                       "Content-Type: (odd) multipart (very) / (odd) report; boundary=b"), 1):
            raw = letter(to="bob@far.test", body=body, fields=(REPORT[0], kind))
            submit(bed.a, "alice@a.test", ["bob@far.test"], raw)
            check(body in sink.wait(number)[-1].raw, f"{kind}: it did not go plain")
            none_of(bed, raw)
        raw = letter(to="bob@far.test", body=body, fields=(REPORT[0], "Content-Type: multipart/mixed; boundary=b"))
        submit(bed.a, "alice@a.test", ["bob@far.test"], raw)
        check(b"\nRestante-Stub:" in sink.wait(4)[-1].raw, "an ordinary letter went plain")


def test_own_domains(bed):
    """Mail among the site's own people, by SMTP and by sendmail(1), though a.test takes stubs itself."""
    box, raws = Box(bed.a, "bob"), [letter(to="bob@a.test"), letter(to="bob@a.test")]
    submit(bed.a, "alice@a.test", ["bob@a.test"], raws[0])
    bed.a.mta.sendmail("-i", "-f", "alice@a.test", "bob@a.test", letter=raws[1].replace(b"\r\n", b"\n"))
    equal(len(box.wait(2)), 2, "letters")
    for raw in raws:
        none_of(bed, raw)


def test_local_domains_that_are_not_enabled(bed):
    """A hosted domain that main.cf does not enable: named in local_domains it is plain."""
    with Sink(bed.x) as sink, zones(bed, far=mail_records(bed.x.address, FAR)), \
            configured(bed.a, local_domains="a.test, far.test"):
        raw = letter(to="bob@far.test")
        submit(bed.a, "alice@a.test", ["bob@far.test"], raw)
        check(raw in sink.one().raw, "it did not go plain")
        none_of(bed, raw)
