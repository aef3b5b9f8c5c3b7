"""After the ack the sender's site has destroyed its copy; before it nothing in the store can be read without the site key."""

import base64
import os

from harness import Box, letter, submit, wait_for, equal, check
from restante import caught, found_in_store, payload_files, status, stub_tags, wait_ticket

NEEDS = ("restante",)


def test_sealed_while_waiting(bed):
    """A letter that waits: its text, Subject, Ka and Kd are nowhere in the data directory, small and large."""
    large = b"\r\n".join(base64.encodebytes(os.urandom(150_000)).splitlines()) + b"\r\n"
    with caught(bed, "b.test") as sink:
        for count, body in enumerate((b"The plain words of a small letter.\r\n", large), 1):
            raw = letter(subject=f"Sealed subject {count}", body=body)
            submit(bed.a, "alice@a.test", ["bob@b.test"], raw)
            mail = sink.wait(count)[-1]
            tags = stub_tags(mail.raw)
            for text in (body[:60].strip(), b"Sealed subject", tags["a"].encode(), tags["d"].encode()):
                equal(found_in_store(bed.a, text), [], f"files with {text[:30]!r}")
            check(b"Sealed subject" not in mail.raw, "the stub names the subject")
        check(payload_files(bed.a), "the large letter is no file")
        with open(bed.a.daemons.log_file("fetchd"), encoding="utf-8", errors="replace") as f:
            log = f.read()
        check(tags["a"] not in log and tags["d"] not in log and tags["u"] not in log, "a secret is in the log")


def test_gone_after_the_ack(bed):
    """Counts of payloads, the folder of payload files, and the plaintext."""
    before = status(bed.a)
    files = set(payload_files(bed.a))
    box, marker = Box(bed.b, "bob"), b"never to be found again " + os.urandom(8).hex().encode()
    for body in (marker + b"\r\n", (marker + b"\r\n") * 4000):
        raw = letter(body=body)
        submit(bed.a, "alice@a.test", ["bob@b.test"], raw)
        wait_ticket(bed.a, raw, "delivered")
    equal(len(box.wait(2)), 2, "letters")
    wait_for("the payload file to go", lambda: set(payload_files(bed.a)) <= files, 10, 0.1)
    equal(status(bed.a)["payloads"], before["payloads"], "payloads")
    equal(status(bed.a)["payload_bytes"], before["payload_bytes"], "octets of payloads")
    equal(found_in_store(bed.a, marker), [], "files with the plaintext at a")
    equal(found_in_store(bed.b, marker), [], "files with the plaintext at b")


def test_one_payload_for_all_until_the_last(bed):
    """Two recipients, one of whom cannot be reached yet: the payload stays until both have it."""
    raw, box = letter(body=b"z" * 70 + b"\r\n" * 100_000), Box(bed.b, "bob")
    with caught(bed, "far.test", answer=lambda stage, mail: "450 4.2.0 later" if stage == "RCPT" else None):
        bed.dns.zone("far.test", ['_restante TXT "v=restante1; h=pull.far.test; r=1"'])
        try:
            submit(bed.a, "alice@a.test", ["bob@b.test", "bob@far.test"], raw)
            wait_ticket(bed.a, raw, "delivered", recipient="bob@b.test")
            box.one()
            check(payload_files(bed.a), "the payload is gone before the second recipient has it")
        finally:
            bed.dns.remove("far.test")
