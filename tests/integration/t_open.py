"""restante-open: where no fetchd calls, a person turns the stub in his mailbox into the letter himself."""

import glob
import os

from certificates import LONG, CrlServer, point
from evil import Evil
from harness import Box, check, equal, letter, submit, wait_for
from restante import main_cf, wait_ticket
from t_certificates import HEADERS

NEEDS = ("restante",)


def program(bed):
    """restante-open beside the programs that the bed was made from."""
    found = [path for folder in ("ctl", "bin", "usr/bin", ".")
             for path in glob.glob(f"{bed.state['programs']['from']}/{folder}/restante-open") if os.access(path, os.X_OK)]
    check(found, "restante-open is not there")
    return found[0]


def test_stub_in_a_mailbox_becomes_the_letter(bed):
    """b.test's milter is out: the stub lies in bob's Maildir; restante-open at b fetches, writes and confirms the letter."""
    raw = letter(body=b"A line.\r\n" * 20000)
    box = Box(bed.b, "bob")
    with main_cf(bed.b, smtpd_milters=""):
        submit(bed.a, "alice@a.test", ["bob@b.test"], raw)
        stub = box.one(containing=b"Restante-Stub:")
    done = bed.b.exec([program(bed), "-c", bed.b.daemons.conf, "--no-ack"], input=stub, check=False)
    equal((done.returncode, done.stdout), (0, raw), "the letter")
    ticket = wait_ticket(bed.a, raw, "leased")
    equal(ticket["state"], "leased")
    # Another call makes another lease token: the first lease must have ended.
    bed.a.daemons.shift_clock(4000)
    try:
        def called():
            done = bed.b.exec([program(bed), "-c", bed.b.daemons.conf], input=stub, check=False)
            return done if done.returncode != 75 else None
        done = wait_for("the lease to end (the daemons look at their clock once a second)", called, 20, 0.3)
        equal((done.returncode, done.stdout), (0, raw), "the letter")
        wait_ticket(bed.a, raw, "delivered")
        again = bed.b.exec([program(bed), "-c", bed.b.daemons.conf], input=stub, check=False)
        equal((again.returncode, again.stdout), (65, b""), "a call for a delivered letter")
        check(b"acked" in again.stderr, again.stderr)
    finally:
        bed.a.daemons.shift_clock(0)


def test_certificates_are_judged(bed):
    """The same rules on certificates as fetchd's: a list is fetched for a good one, a revoked one gets no key."""
    run = [program(bed), "-c", bed.b.daemons.conf, "--no-ack"]
    with CrlServer(bed) as crls:
        issued = {"end": LONG, "extensions": point(crls.url("/good.crl"))}
        with Evil(bed, certificate=issued) as good, Evil(bed, certificate=issued) as revoked:
            bed.pki.revoke(revoked.host_name)
            crls.publish("/good.crl")
            ticket = good.ticket()
            done = bed.b.exec(run, input=ticket.stub(), check=False)
            equal((done.returncode, done.stdout), (0, ticket.letter), "the letter")
            done = bed.b.exec(run, input=revoked.ticket().stub(), check=False)
            equal((done.returncode, done.stdout), (75, b""), "a call to a revoked host")
            check(b"is revoked (CRL" in done.stderr, done.stderr)
            equal(revoked.seen(), [], "requests")
            check(HEADERS not in revoked.host.frames(), "a request was sent")


def test_what_is_no_stub_is_refused(bed):
    """No stub field, and a stub whose host nobody designates."""
    run = [program(bed), "-c", bed.b.daemons.conf]
    equal(bed.b.exec(run, input=b"Subject: x\n\nno stub\n", check=False).returncode, 65)
    from restante import a_stub
    done = bed.b.exec(run, input=a_stub(sender="eve@a.test", host="pull.evil.test"), check=False)
    equal((done.returncode, done.stdout), (65, b""))
    check(b"designated" in done.stderr, done.stderr)
