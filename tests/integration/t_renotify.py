"""Telling again: a letter that nobody called for is told of on the schedule, the same ticket, never while it is leased or freshly
held; DNS is asked before, and where the domain takes no stubs any more the letter goes plain to the byte, if it may."""

import contextlib
import time

from far import D, H, far, gone
from harness import Box, check, equal, letter, lf, submit, wait_for
from puller import end
from restante import bare_id, configured, dsn, fetchd_log, master_cf, payload_files, strip_trace, table, ticket, wait_ticket

NEEDS = ("restante",)
TIMEOUT = 120


def test_the_schedule(bed):
    """1h 4h 1d 3d 7d, then every 7d: one stub each time and no other, all of the same ticket; then it is called for."""
    with far(bed) as domain:
        offer = domain.send()
        domain.clock(H - 60)
        domain.stubs(offer, 1)
        for count, time_s in enumerate((H, 4 * H, D, 3 * D, 7 * D, 14 * D, 21 * D), 2):
            domain.clock(int(time_s * 1.11))
            domain.stubs(offer, count)
        equal(domain.ticket(offer)["state"], "waiting", "state")
        with offer.client() as client:
            end(offer.claim(client), 200)
            end(offer.ack(client), 204)
        domain.clock(29 * D)
        domain.stubs(offer, 8)


def test_a_site_that_was_away(bed):
    """fetchd at b is away for three days: the letter arrives by itself when it is back, once."""
    box, raw, log = Box(bed.b, "bob"), letter(), fetchd_log(bed.a)
    try:
        bed.b.daemons.stop_one("fetchd")
        submit(bed.a, "alice@a.test", ["bob@b.test"], raw)
        for seconds in (1.11 * H, 4.44 * H, 1.11 * D, 3.3 * D):
            bed.a.daemons.shift_clock(int(seconds))
            log.wait(rf"ticket={ticket(bed.a, raw)['id'][4:12]} .*status=stub-sent", 15)
            log = fetchd_log(bed.a)
        bed.b.daemons.shift_clock(int(3.3 * D))
        bed.b.daemons.start_one("fetchd")
        equal(strip_trace(box.one(timeout=60)), lf(raw), "the letter")
        wait_ticket(bed.a, raw, "delivered")
        equal(len(box.new()), 1, "letters")
    finally:
        if not bed.b.daemons.pid("fetchd"):
            bed.b.daemons.start_one("fetchd")
        for site in (bed.a, bed.b):
            site.daemons.shift_clock(0)
        time.sleep(1.2)  # the daemons look once a second


def test_not_while_held(bed):
    """What the other side holds is not told of again until held_fresh (7d) is over; another letter of the same moment is."""
    with far(bed) as domain:
        held, other = domain.send(), domain.send()
        with held.client() as client:
            end(held.ask(client, "POST", "status", status="held"), 204)
        for count, seconds in enumerate((1.11 * H, 4.44 * H, 1.11 * D, 3.3 * D), 2):
            domain.clock(int(seconds))
            domain.stubs(other, count)
            domain.stubs(held, 1)
        domain.clock(int(7.8 * D))
        domain.stubs(other, 6)
        domain.stubs(held, 2)


def test_not_while_leased(bed):
    """While a lease runs, and for as long as its body may be under way, nobody is told; then again, and the ticket is claimed
    once more."""
    with far(bed) as domain:
        leased, other = domain.send(), domain.send()
        domain.clock(40 * 60)
        with leased.client() as client:
            end(leased.claim(client), 200)
        domain.clock(80 * 60)
        domain.stubs(other, 2)
        domain.stubs(leased, 1)
        equal(domain.ticket(leased)["state"], "lapsed", "state")
        domain.clock(110 * 60)
        domain.stubs(leased, 2)
        domain.stubs(other, 2)
        with leased.client() as client:
            end(leased.claim(client), 200)
            end(leased.ack(client), 204)
        domain.clock(int(4.44 * H))
        domain.stubs(other, 3)
        domain.stubs(leased, 2)


def test_no_schedule(bed):
    """An empty renotify_schedule: told once."""
    with configured(bed.a, renotify_schedule=""), far(bed) as domain:
        offer = domain.send()
        domain.clock(8 * D)
        domain.log.wait(r"state=waiting .*status=notified", 15)  # the warning
        domain.stubs(offer, 1)


# --- the domain takes no stubs any more

def is_plain(domain, offer, words=()):
    """The letter came to the byte with the sender's own envelope, once."""
    domain.state(offer, "plain")
    mail = wait_for("the letter", lambda: next((mail for mail in domain.mails(offer) if b"\nRestante-Stub:" not in mail.raw), None), 20, 0.05)
    check(mail.raw.endswith(b"\r\n" + offer.raw) or mail.raw == offer.raw, f"not the letter: {mail.raw[:800]!r}")
    equal(mail.sender, "alice@a.test", "reverse-path")
    given = set(mail.mail.split()) | set(mail.recipients[0][1].split())
    for word in words:
        check(word in given, f"{word} is not among {given}")


def test_no_stubs_any_more(bed):
    """r=0: at the next time of the schedule the letter goes plain, to the byte, with NOTIFY, ORCPT, RET and ENVID; a late claim is
    answered 410; nothing more is told, and nothing else is sent."""
    box = Box(bed.a, "alice")
    with far(bed) as domain:
        raw = letter(to=f"bob@{domain.name}", body=b".\r\n.. dots\r\n\r\nlast\r\n" + b"x" * 900 + b"\r\n")
        offer = domain.send(raw, f"bob@{domain.name}", mail="RET=HDRS ENVID=QQ+2B1", rcpt=f"NOTIFY=FAILURE,DELAY ORCPT=rfc822;b+2Bob@{domain.name}")
        domain.designate("r=0")
        domain.clock(int(1.11 * H))
        is_plain(domain, offer, ("RET=HDRS", "ENVID=QQ+2B1", "NOTIFY=FAILURE,DELAY", f"ORCPT=rfc822;b+2Bob@{domain.name}"))
        gone(offer, "plain")
        domain.log.wait(r"status=plain-sent")
        domain.designate("r=1")
        submit(bed.a, "alice@a.test", [offer.recipient], offer.raw)  # her program tries again
        domain.log.wait(r"status=deposited \(the same letter again")
        domain.clock(8 * D)
        equal(len(domain.mails(offer)), 2, "mails: the stub and the letter")
        equal(box.new(bare_id(raw).encode()), [], "reports")


def test_plain_and_later_once_more(bed):
    """A letter that went plain hours ago may have come back from there: submitted once more it is a new ticket."""
    with far(bed) as domain:
        offer = domain.send()
        domain.designate("r=0")
        domain.clock(int(1.11 * H))
        is_plain(domain, offer)
        domain.log.wait(r"status=plain-sent")
        domain.designate("r=1")
        domain.clock(int(2.5 * H))
        submit(bed.a, "alice@a.test", [offer.recipient], offer.raw)
        wait_for("another stub", lambda: len(domain.mails(offer)) == 3, 20, 0.05)
        check(b"\nRestante-Stub:" in domain.mails(offer)[2].raw, "the last is no stub")


def test_no_record_any_more(bed):
    """The record is gone altogether, while another of the domain's letters is held there: both go plain, each in its time."""
    with far(bed) as domain:
        held, offer = domain.send(), domain.send()
        with held.client() as client:
            end(held.ask(client, "POST", "status", status="held"), 204)
        domain.designate(None)
        domain.clock(int(1.11 * H))
        is_plain(domain, offer)
        equal(domain.ticket(held)["state"], "held", "the one that is held")
        domain.clock(int(7.8 * D))
        is_plain(domain, held)


def test_the_table_says_pull(bed):
    """With `pull` it never goes plain; when the domain takes stubs again, it is told again."""
    with far(bed) as domain, table(bed.a, f"{domain.name} pull"):
        offer = domain.send()
        domain.designate("r=0")
        domain.clock(int(1.11 * H))
        domain.log.wait(r"status=stub-deferred \(the recipient's domain no longer takes stubs")
        domain.stubs(offer, 1)
        domain.designate("r=1")
        domain.clock(int(4.44 * H))
        domain.stubs(offer, 2)
        equal(domain.ticket(offer)["state"], "waiting", "state")


def test_the_table_says_plain(bed):
    """The administrator wants no stubs for it any more: plain at the next time, whatever DNS says."""
    with far(bed) as domain:
        offer = domain.send()
        with table(bed.a, f"{domain.name} plain"):
            domain.clock(int(1.11 * H))
            is_plain(domain, offer)


def test_dns_fails(bed):
    """While DNS fails the letter waits, although the last answer was yes; it is told again a while after DNS answers."""
    with far(bed) as domain:
        offer = domain.send()
        bed.dns.break_signatures(domain.name)
        time.sleep(1.2)
        domain.clock(int(1.11 * H))
        domain.log.wait(r"status=stub-deferred \(DNS failed", 20)
        domain.stubs(offer, 1)
        domain.designate("r=1")
        domain.clock(int(1.11 * H) + 1300)
        domain.stubs(offer, 2)


def test_never_plain_after_hand_over(bed):
    """What was collected, though never confirmed, does not go out a second time."""
    with far(bed) as domain:
        offer = domain.send()
        with offer.client() as client:
            end(offer.claim(client), 200)
        domain.designate("r=0")
        domain.clock(int(4.44 * H))
        domain.log.wait(r"status=stub-deferred \(the recipient's domain no longer takes stubs")
        equal(domain.ticket(offer)["state"], "lapsed", "state")
        equal(len(domain.mails(offer)), 1, "mails")


def stubs_out(bed, domain, answer):
    """The listener for stubs and plain letters answers recipients of the domain so."""
    return master_cf(bed.a, "127.0.0.1:10026", "-o { smtpd_recipient_restrictions = check_recipient_access inline:{ { "
                     f"{domain.name} = {answer} }} }} }}")


@contextlib.contextmanager
def answered(bed, domain, answer):
    with stubs_out(bed, domain, answer):
        bed.a.daemons.restart("fetchd")  # it keeps its connections, and what serves them their configuration
        yield
    bed.a.daemons.restart("fetchd")


def test_the_mta_refuses_the_plain_letter(bed):
    """550 of a's own Postfix: one report with its words, the header, and the ticket stays plain."""
    box = Box(bed.a, "alice")
    with far(bed) as domain:
        offer = domain.send()
        domain.designate("r=0")
        with answered(bed, domain, "550 5.7.1 no such mail here"):
            domain.clock(int(1.11 * H))
            found = box.one(containing=bare_id(offer.raw).encode())
            _, recipients = dsn(found)
            equal([(r["action"], r["status"]) for r in recipients], [("failed", "5.7.1")], "report")
            check("no such mail here" in recipients[0]["diagnostic-code"], f"diagnostic: {recipients}")
        equal(domain.ticket(offer)["state"], "plain", "state")
        equal(len(domain.mails(offer)), 1, "mails")


def test_the_mta_defers_the_plain_letter(bed):
    """450: the ticket is closed at once, the letter goes when the MTA takes it, also after fetchd was killed."""
    with far(bed) as domain:
        offer = domain.send()
        domain.designate("r=0")
        with answered(bed, domain, "450 4.7.1 not now"):
            domain.clock(int(1.11 * H))
            domain.log.wait(r"status=plain-deferred", 15)
            gone(offer, "plain")
            bed.a.daemons.stop_one("fetchd", grace=0)
        is_plain(domain, offer)


def test_an_archive_of_later(bed):
    """A letter that was closed as plain before there was an archive, while the MTA defers it: one copy, however often it is tried."""
    archive = Box(bed.a, "dave")
    with far(bed) as domain:
        offer = domain.send()
        domain.designate("r=0")
        with answered(bed, domain, "450 4.7.1 not now"):
            domain.clock(int(1.11 * H))
            domain.log.wait(r"status=plain-deferred", 15)
            with configured(bed.a, journal="dave@a.test", outbox_retry_min="1s", outbox_retry_max="1s"):
                log = fetchd_log(bed.a)
                wait_for("three tries", lambda: log.text().count("status=plain-deferred") >= 3, 20, 0.1)
                equal(log.text().count("status=archived"), 1, "copies in the log")
        domain.log.wait(r"status=plain-sent", 30)
    equal(len(archive.new(bare_id(offer.raw).encode())), 1, "copies")


def test_a_damaged_letter(bed):
    """What is to go plain and was damaged here, cut or changed: nothing of it goes out, and alice is told, once."""
    for damage in ("cut", "changed"):
        box, before = Box(bed.a, "alice"), set(payload_files(bed.a))
        with far(bed) as domain:
            raw = letter(to=f"bob@{domain.name}", body=b"x" * 70 + b"\r\n" * 3000 + b"y" * 70000 + b"\r\n")
            offer = domain.send(raw, f"bob@{domain.name}")
            path, = set(payload_files(bed.a)) - before
            with open(path, "r+b") as f:
                if damage == "cut":
                    f.truncate(50000)
                else:
                    f.seek(70000)
                    f.write(b"damaged!")
            domain.designate("r=0")
            domain.clock(int(1.11 * H))
            found = box.one(containing=bare_id(raw).encode(), timeout=40)
            _, recipients = dsn(found)
            equal([(r["action"], r["status"]) for r in recipients], [("failed", "5.3.0")], f"report of what was {damage}")
            check(b"damaged" in found, f"the reason: {found}")
            equal(len(domain.mails(offer)), 1, "mails")
            equal(domain.ticket(offer)["state"], "plain", "state")


# --- clocks

def test_a_clock_that_jumps(bed):
    """A day ahead and back, and a day back and ahead again: one stub for all that was missed, none for what was told already;
    nothing is lost and nothing stops."""
    with far(bed) as domain:
        offer = domain.send()
        domain.clock(D + 3 * H)
        domain.stubs(offer, 2)
        domain.clock(0)
        domain.stubs(offer, 2)
        equal(domain.ticket(offer)["state"], "waiting", "state")
        domain.clock(-D)
        early = domain.send()
        domain.stubs(early, 1)
        domain.clock(0)
        domain.stubs(early, 2)
        domain.clock(int(3.3 * D))
        domain.stubs(offer, 3)
        domain.stubs(early, 3)
        for one in (offer, early):
            with one.client() as client:
                end(one.claim(client), 200)
                end(one.ack(client), 204)
