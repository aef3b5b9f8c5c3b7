"""fetchd or the milter is away: 451, the client's MTA keeps the mail and delivers it later; mail that does not
concern an enabled domain is not held up by fetchd."""

import time

from harness import Box, Refused, check, equal, letter, lf, submit
from restante import bare_id, stopped, strip_trace, tickets, wait_for

NEEDS = ("restante",)
TIMEOUT = 120


def answer(site, sender, to, raw):
    try:
        submit(site, sender, [to], raw)
    except Refused as e:
        return e.code, e.text[:5]
    return None


def test_fetchd_away(bed):
    """451 4.3.2 to letters of enabled senders, whoever they are for, to stubs, and to ordinary mail from outside, which waits
    where it comes from; the site's other mail flows."""
    box, raw = Box(bed.b, "bob"), letter()
    alice, carol = Box(bed.a, "alice"), Box(bed.c, "carol")
    with stopped(bed.a, "fetchd"):
        equal(answer(bed.a, "alice@a.test", "bob@b.test", raw), (451, "4.3.2"), "answer")
        submit(bed.a, "alice@elsewhere.test", ["carol@c.test"], letter("alice@elsewhere.test", "carol@c.test"), login=False)
        carol.one()
        submit(bed.c, "dave@c.test", ["alice@a.test"], letter("dave@c.test", "alice@a.test"))
        wait_for("it to wait at c", bed.c.mta.queued, 10)
    bed.c.mta.flush()
    alice.one(timeout=40)
    submit(bed.a, "alice@a.test", ["bob@b.test"], raw)
    equal(strip_trace(box.one()), lf(raw), "letter")


def test_the_clients_mta_keeps_it(bed):
    """c sends its mail through a; with fetchd away at a it waits in the queue of c, and arrives afterwards."""
    box, raw = Box(bed.b, "bob"), letter("alice@a.test", "bob@b.test")
    networks = f"127.0.0.0/8, [::1]/128, {bed.c.address}/32, [{bed.c.address6}]/128"
    before_a = bed.a.mta.postconf(mynetworks=networks)
    before_c = bed.c.mta.postconf(transport_maps=f"inline:{{ b.test=smtp:[{bed.a.address}] }}")
    bed.a.daemons.configure(submission_networks=networks)
    bed.a.daemons.restart("milter")
    try:
        with stopped(bed.a, "fetchd"):
            submit(bed.c, "alice@a.test", ["bob@b.test"], raw, login=False)
            waiting = bed.c.mta.queued()
            check(waiting, "it does not wait at c")
            time.sleep(0.5)
            check(bed.c.mta.queued(), "it left c")
        bed.c.mta.flush()
        got = box.one(timeout=40)
        check(b"with RESTANTE" in got[:3000], "it did not come by Restante")
        check(raw.partition(b"\r\n\r\n")[2].replace(b"\r\n", b"\n") in got, "another letter")
    finally:
        bed.a.mta.postconf(**before_a)
        bed.c.mta.postconf(**before_c)
        bed.a.daemons.configure()
        bed.a.daemons.restart("fetchd")
        bed.a.daemons.restart("milter")


def test_sendmail_command_waits(bed):
    """sendmail(1) with fetchd away: the command succeeds, the letter waits in the maildrop queue (pickup looks once a
    minute) and goes when fetchd is back."""
    box, raw = Box(bed.b, "bob"), letter()
    with stopped(bed.a, "fetchd"):
        done = bed.a.mta.sendmail("-i", "-f", "alice@a.test", "bob@b.test", letter=lf(raw))
        equal(done.returncode, 0, "sendmail's status")
    bed.a.exec(["postkick", "-c", bed.a.mta.conf, "public", "pickup", "W"], check=False)
    equal(strip_trace(box.one(timeout=90)), lf(raw), "letter")


def test_milter_away(bed):
    """The milter dead: 4xx before the letter is even sent, nothing passes it by (default_action=tempfail)."""
    raw = letter()
    with stopped(bed.a, "milter"):
        got = answer(bed.a, "alice@a.test", "bob@b.test", raw)
        check(got and got[0] // 100 == 4, f"answer: {got}")
    equal(tickets(bed.a, message_id=bare_id(raw)), [], "tickets")
    box = Box(bed.b, "bob")
    submit(bed.a, "alice@a.test", ["bob@b.test"], raw)
    equal(strip_trace(box.one()), lf(raw), "letter")


def test_fetchd_away_at_b(bed):
    """The recipient's fetchd is away when the stub comes: the stub waits at a, the letter arrives once fetchd is back."""
    box, raw = Box(bed.b, "bob"), letter()
    with stopped(bed.b, "fetchd"):
        submit(bed.a, "alice@a.test", ["bob@b.test"], raw)
        wait_for("the stub to be deferred", bed.a.mta.queued, 10)
    bed.a.mta.flush()
    equal(strip_trace(box.one(timeout=40)), lf(raw), "letter")
