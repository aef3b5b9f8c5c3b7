"""What the recipient's MTA says to the injected letter: 5xx becomes a nack and one report to the sender; 4xx is tried again."""

from harness import Box, check, equal, letter, lf, submit, wait_for
from restante import answered_at_rcpt, dsn, jobs, main_cf, strip_trace, ticket, wait_ticket

NEEDS = ("restante",)
TIMEOUT = 120


def id_of(raw):
    return raw.partition(b"Message-ID: <")[2].partition(b">")[0]


def one_report(box, raw):
    """The one report about a letter, and its recipient part."""
    found, = box.wait(1, containing=id_of(raw))
    message, recipients = dsn(found)
    equal([r.get("action") for r in recipients], ["failed"], "Action")
    return found, recipients[0]


def test_letter_refused_after_the_notice(bed):
    """header_checks on the letter listener REJECT the letter: nack, state refused with the MTA's words, one report, the
    payload is destroyed."""
    reports, box, raw = Box(bed.a, "carol"), Box(bed.b, "bob"), letter("carol@a.test", subject="Forbidden words")
    path = f"{bed.b.mta.conf}/header_checks"
    with open(path, "w", encoding="utf-8") as f:
        f.write("/^Subject: Forbidden/ REJECT 5.7.1 not these words\n")
    with main_cf(bed.b, header_checks=f"regexp:{path}"):
        submit(bed.a, "carol@a.test", ["bob@b.test"], raw)
        t = wait_ticket(bed.a, raw, "refused")
        found, recipient = one_report(reports, raw)
        check("not these words" in t.get("text", ""), f"text of the ticket: {t}")
        equal(t.get("reason"), "mta-refused", "reason")
        check(recipient.get("status", "").startswith("5.7.1"), f"Status: {recipient}")
        check("not these words" in recipient.get("diagnostic-code", "") + found.decode(), "the MTA's words are not in the report")
        after = letter("carol@a.test")
        submit(bed.a, "carol@a.test", ["bob@b.test"], after)
        equal(strip_trace(box.one()), lf(after), "the next letter")
        equal(len(reports.new(id_of(raw))), 1, "reports")
    equal([job["state"] for job in jobs(bed.b) if job.get("reason") == "mta-refused"][-1:], ["nacked"], "state of the job")


def test_user_gone_between_stub_and_letter(bed):
    """The stub is accepted, and the mailbox vanishes before the letter is injected: 5.1.1 in one report."""
    reports, raw = Box(bed.a, "carol"), letter("carol@a.test", "dave@b.test")
    with answered_at_rcpt(bed.b, "dave@b.test", "550 5.1.1 gone"):
        submit(bed.a, "carol@a.test", ["dave@b.test"], raw)
        t = wait_ticket(bed.a, raw, "refused")
        _, recipient = one_report(reports, raw)
        equal(recipient.get("status"), "5.1.1", f"Status ({t.get('text')})")


def test_too_large_for_the_mta(bed):
    """message_size_limit of b is below the letter's size: nack, one report; nothing is retried for ever."""
    reports, raw = Box(bed.a, "carol"), letter("carol@a.test", body=(b"x" * 78 + b"\r\n") * 4000)
    with main_cf(bed.b, message_size_limit="200000"):
        submit(bed.a, "carol@a.test", ["bob@b.test"], raw)
        wait_ticket(bed.a, raw, "refused")
        one_report(reports, raw)


def test_mta_defers(bed):
    """4xx at RCPT: the job stays with the MTA's words, the letter is claimed again and delivered once, the sender hears
    nothing."""
    reports, box, raw = Box(bed.a, "carol"), Box(bed.b, "dave"), letter("carol@a.test", "dave@b.test")
    with answered_at_rcpt(bed.b, "dave@b.test", "450 4.2.0 later"):
        submit(bed.a, "carol@a.test", ["dave@b.test"], raw)
        job = wait_for("the letter to be put off", lambda: next(
            (job for job in jobs(bed.b, state="waiting", sender="carol@a.test") if job["tries"] >= 2), None), 30, 0.2)
        check(job.get("text", "").startswith("450"), f"text of the job: {job}")
        check(ticket(bed.a, raw)["state"] in ("leased", "lapsed"), "state of the ticket")
        equal(box.new(), [], "letters")
    equal(strip_trace(box.one(timeout=30)), lf(raw), "letter")
    wait_ticket(bed.a, raw, "delivered")
    equal(reports.new(), [], "reports")


def test_mta_defers_to_the_end(bed):
    """4xx until the ticket's last minute: the last try is a nack, and the sender hears what the MTA said."""
    reports, raw = Box(bed.a, "carol"), letter("carol@a.test", "dave@b.test")
    with answered_at_rcpt(bed.b, "dave@b.test", "450 4.2.0 later and later"):
        submit(bed.a, "carol@a.test", ["dave@b.test"], raw, rcpt="NOTIFY=FAILURE")  # and no warning on the way
        wait_for("the letter to be put off", lambda: any(
            job["tries"] >= 1 for job in jobs(bed.b, state="waiting", sender="carol@a.test")), 30, 0.2)
        try:
            for site in (bed.a, bed.b):
                site.daemons.shift_clock(30 * 86400 - 40)  # the retention, and the last minute has begun
            t = wait_ticket(bed.a, raw, "refused", timeout=30)
            check("later and later" in t.get("text", ""), f"text of the ticket: {t}")
            one_report(reports, raw)
        finally:
            for site in (bed.a, bed.b):
                site.daemons.shift_clock(0)


def test_mta_is_away(bed):
    """Postfix at b stops after it has taken the stub: the letter is injected when it is back."""
    box, raw = Box(bed.b, "bob"), letter()
    with answered_at_rcpt(bed.b, "bob@b.test", "450 4.2.0 later"):
        submit(bed.a, "alice@a.test", ["bob@b.test"], raw)
        wait_for("a job", lambda: any(job["tries"] >= 1 for job in jobs(bed.b, state="waiting", sender="alice@a.test")), 20, 0.2)
        bed.b.mta.kill()
        wait_for("two tries without an MTA", lambda: any(job["tries"] >= 3 for job in jobs(bed.b, state="waiting",
                                                                                         sender="alice@a.test")), 30, 0.2)
        bed.b.mta.start()
    equal(strip_trace(box.one(timeout=40)), lf(raw), "letter")
    wait_ticket(bed.a, raw, "delivered")


def test_loops_end(bed):
    """A letter with more Received fields than hopcount_limit: refused by the MTA, one report."""
    reports = Box(bed.a, "carol")
    received = ["Received: from x by y with SMTP id %d; Sat, 21 Nov 2026 10:00:00 +0000" % i for i in range(48)]
    raw = letter("carol@a.test", fields=received)
    submit(bed.a, "carol@a.test", ["bob@b.test"], raw)
    wait_ticket(bed.a, raw, "refused")
    one_report(reports, raw)
