"""A repeated stub delivers nothing twice, in whatever state its job is; a repeated ack and nack change nothing; fetchd
restarted or killed in the middle loses nothing."""

import base64
import hashlib
import threading
import time

from harness import Box, Smtp, check, equal, letter, lf, submit, wait_for
from http2 import Client, tls_socket
from restante import answered_at_rcpt, bare_id, caught, jobs, letters_in, stopped, strip_trace, stub_tags, ticket, wait_ticket

NEEDS = ("restante",)
TIMEOUT = 120


def catch_stub(bed, raw):
    with caught(bed, "b.test") as sink:
        submit(bed.a, "alice@a.test", ["bob@b.test"], raw)
        return sink.one()


def bring(bed, mail):
    """Hands b the stub once more; the answer."""
    with Smtp(bed.a, to=bed.b.address) as smtp:
        smtp.envelope(mail.sender, [mail.recipients[0][0]])
        return smtp.data(mail.raw, *range(200, 600))


def through(bed, box):
    """Waits until another letter has come through: whatever was to be delivered before it has been."""
    marker = letter()
    submit(bed.a, "alice@a.test", ["bob@b.test"], marker)
    box.wait(1, containing=bare_id(marker).encode())
    wait_ticket(bed.a, marker, "delivered")


def test_repeated_stub(bed):
    """Five times in a row, at the same time, and again when it is all over: one job, one letter."""
    raw, box = letter(), Box(bed.b, "bob")
    mail = catch_stub(bed, raw)
    before = len(jobs(bed.b))
    workers = [threading.Thread(target=bring, args=(bed, mail)) for _ in range(5)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    wait_ticket(bed.a, raw, "delivered")
    equal(bring(bed, mail)[0], 250, "answer to the stub of a finished job")
    through(bed, box)
    equal([strip_trace(got) for got in box.new(bare_id(raw).encode())], [lf(raw)], "letters")
    equal(len(jobs(bed.b)), before + 2, "jobs")


def test_repeated_while_it_is_put_off(bed):
    """The MTA defers the letter, the stub comes again meanwhile."""
    raw, box = letter(), Box(bed.b, "bob")
    mail = catch_stub(bed, raw)
    with answered_at_rcpt(bed.b, "bob@b.test", "450 4.2.0 later"):
        bring(bed, mail)
        wait_for("a try", lambda: any(job["tries"] >= 1 for job in jobs(bed.b, state="waiting", sender="alice@a.test")), 20, 0.1)
        equal(bring(bed, mail)[0], 250, "answer to the repeated stub")
    wait_ticket(bed.a, raw, "delivered", timeout=30)
    through(bed, box)
    equal(len(box.new(bare_id(raw).encode())), 1, "letters")


def test_repeated_ack(bed):
    """From b's own address: ack again 204, with another digest 422 or 204 as before, claim 410 acked, nack 410; nothing
    changes."""
    raw, box = letter(), Box(bed.b, "bob")
    mail = catch_stub(bed, raw)
    bring(bed, mail)
    wait_ticket(bed.a, raw, "delivered")
    tags = stub_tags(mail.raw)
    path = tags["u"].partition("pull.a.test")[2]
    # What b saw is what is under its trace fields.
    digest = hashlib.sha256(strip_trace(box.one()).replace(b"\n", b"\r\n")).digest()
    word = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    key = {"authorization": f"Restante {tags['a']}"}
    with Client(tls_socket(bed.b, bed.a.address, "pull.a.test"), "pull.a.test") as client:
        for _ in range(2):
            equal(client.request("POST", path + "/ack", key | {"restante-digest": word}).status, 204, "ack again")
        answer = client.request("POST", path + "/claim", key | {
            "restante-lease": "A" * 22, "restante-sender": "alice@a.test", "restante-recipient": "bob@b.test",
            "restante-from": "alice@a.test"})
        equal((answer.status, answer.headers.get("restante-reason")), (410, "acked"), "claim of an acked ticket")
        answer = client.request("POST", path + "/nack", key | {"restante-lease": "A" * 22, "restante-reason": "denied"})
        equal(answer.status, 410, "nack of an acked ticket")
        equal(client.request("HEAD", path, key).status, 410, "HEAD of an acked ticket")
    equal(ticket(bed.a, raw)["state"], "delivered", "state")


def test_lost_ack(bed):
    """a is away when b wants to ack: b delivers once, and acks when a is back."""
    raw, box = letter(), Box(bed.b, "bob")
    mail = catch_stub(bed, raw)
    with letters_in(bed.b, "-o { smtpd_end_of_data_restrictions = sleep 3, permit }"):
        bring(bed, mail)
        wait_for("the letter to be claimed", lambda: ticket(bed.a, raw)["state"] == "leased", 20, 0.05)
        with stopped(bed.a, "fetchd"):
            box.wait(1, containing=bare_id(raw).encode(), timeout=30)
            wait_for("the job to be marked", lambda: jobs(bed.b, state="delivered"), 20, 0.1)
            time.sleep(1)
    wait_ticket(bed.a, raw, "delivered", timeout=30)
    through(bed, box)
    equal(len(box.new(bare_id(raw).encode())), 1, "letters")


def restarts(bed, site, grace):
    """Thirty letters while a fetchd is restarted three times: each arrives once."""
    box, raws = Box(bed.b, "bob"), [letter(body=b"y" * 70 + b"\r\n" * (i * 50 + 1)) for i in range(30)]

    def send():
        for raw in raws:
            def done():
                try:
                    submit(bed.a, "alice@a.test", ["bob@b.test"], raw)
                    return True
                except Exception as e:
                    check("45" in str(e) or "closed" in str(e), f"answer: {e}")
                    return False
            wait_for("a letter to be taken", done, 30, 0.2)
    sender = threading.Thread(target=send)
    sender.start()
    for _ in range(3):
        time.sleep(0.7)
        site.daemons.stop_one("fetchd", grace=grace)
        site.daemons.start_one("fetchd")
    sender.join()
    for _ in range(3):
        bed.a.mta.flush()
        time.sleep(0.2)
    for raw in raws:
        wait_ticket(bed.a, raw, "delivered", timeout=60)
    got = [strip_trace(one) for one in box.wait(len(raws))]
    equal(sorted(set(got)), sorted(lf(raw) for raw in raws), "letters")
    return len(got) - len(raws)


def test_restarts_at_a(bed):
    """Orderly restarts of the sender's fetchd: no letter is lost or doubled."""
    equal(restarts(bed, bed.a, 15), 0, "doubles")


def test_restarts_at_b(bed):
    """Orderly restarts of the recipient's fetchd."""
    equal(restarts(bed, bed.b, 15), 0, "doubles")


def test_kills_at_b(bed):
    """kill -9 of the recipient's fetchd: nothing is lost; a double is possible only within its one window."""
    doubles = restarts(bed, bed.b, 0)
    check(doubles <= 3, f"{doubles} doubles from three kills")
