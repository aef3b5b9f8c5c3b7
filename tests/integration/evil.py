"""A domain with a link host of a test's own making: it seals letters, sends stubs for them to b, and serves them rightly
unless a case says otherwise.

    with Evil(bed) as evil:
        ticket = evil.ticket(letter("eve@" + evil.domain), on_claim=lambda request, ticket: request.answer(302, ...))
        ticket.offer()
        job = ticket.wait_job("waiting", tries=2)
"""

import base64
import contextlib
import hashlib
import itertools
import os
import struct
import time

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from harness import Failure, Smtp, check, equal, wait_for
from http2 import LinkHost
from restante import jobs, mail_records

CHUNK = 65536
HEADER = 96
TAG = 16
ENDED_JOBS = ("acked", "nacked", "failed")
_numbers = itertools.count(1)


def b64(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def field_text(text):
    plain = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~@+="
    return "".join(chr(c) if c in plain else f"%{c:02X}" for c in text.encode())


def hkdf(key, salt, info):
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(key)


def seal(letter, kd, a, version=1):
    """docs/PROTOCOL.md, "Sealed payload": (sealed octets, wrap)."""
    dek, payload_id, salt = os.urandom(32), os.urandom(16), os.urandom(24)
    head = b"RESTANTE\1\1\0\0" + struct.pack(">IQ", version, len(letter)) + payload_id + salt
    key = hkdf(dek, salt, b"restante/1/payload" + head[:16] + payload_id)
    out = [head, hkdf(dek, salt, b"restante/1/commitment" + head)]
    pieces = [letter[at:at + CHUNK] for at in range(0, len(letter), CHUNK)] or [b""]
    for number, piece in enumerate(pieces):
        last = bytes([number == len(pieces) - 1])
        out.append(AESGCM(key).encrypt(number.to_bytes(11, "big") + last, piece, None))
    key = hkdf(kd, a, b"restante/1/wrap" + payload_id + struct.pack(">I", version))
    return b"".join(out), AESGCM(key).encrypt(bytes(12), dek, None)


class EvilTicket:
    """One letter at the link host. .claims, .resumes, .acks, .nacks, .statuses: header dicts of the requests that came, with the
    time in "at". on_claim, on_resume, on_status(request, ticket) answer in place of what is right."""

    def __init__(self, evil, letter, to, on_claim=None, on_resume=None, on_status=None, expires_in=86400):
        self.evil, self.letter, self.to = evil, letter, to
        self.on_claim, self.on_resume, self.on_status = on_claim, on_resume, on_status
        self.sender = f"eve{next(_numbers)}.{os.getpid()}@{evil.domain}"
        self.a, self.b, self.ka, self.kd = os.urandom(16), os.urandom(16), os.urandom(32), os.urandom(32)
        self.path = f"/restante/1/{b64(self.a)}/{b64(self.b)}"
        self.expires = int(time.time()) + expires_in
        self.sealed, self.wrap = seal(letter, self.kd, self.a)
        self.etag = f'"{b64(os.urandom(9))}"'
        self.claims, self.resumes, self.acks, self.nacks, self.statuses = [], [], [], [], []

    # --- the stub

    def stub(self, author=None):
        port = "" if self.evil.port == 443 else f":{self.evil.port}"
        author = author or f"eve@{self.evil.domain}"
        return (f"From: {author}\r\nTo: {self.to}\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: "
                f"<{b64(os.urandom(12))}@{self.evil.domain}>\r\nMIME-Version: 1.0\r\nRestante-Stub: v=1;\r\n"
                f" u=https://{self.evil.host_name}{port}{self.path};\r\n a={b64(self.ka)};\r\n d={b64(self.kd)};\r\n"
                f" f={self.sender};\r\n t={self.to};\r\n s={len(self.letter)}; x={self.expires}\r\n\r\n"
                "A letter lies ready.\r\n").encode()

    def offer(self):
        """Sends the stub to b from x. Returns the ticket."""
        bed = self.evil.bed
        with Smtp(bed.x, to=bed.b.address) as smtp:
            smtp.send(self.sender, [self.to], self.stub())
        return self

    # --- the link host's side

    def fields(self):
        return [("restante-size", str(len(self.letter))), ("restante-version", "1"), ("restante-expires", str(self.expires)),
                ("etag", self.etag), ("content-type", "application/octet-stream")]

    def claim_fields(self, **changes):
        fields = dict(self.fields()) | {
            "restante-wrap": b64(self.wrap), "restante-sender": field_text(self.sender),
            "restante-recipient": field_text(self.to), "content-location": self.path,
            "repr-digest": f"sha-256=:{base64.b64encode(hashlib.sha256(self.sealed).digest()).decode()}:",
            "content-length": str(len(self.sealed))}
        fields |= {name.replace("_", "-"): value for name, value in changes.items()}
        return [(name, value) for name, value in fields.items() if value is not None]

    def answer_claim(self, request, body=None, *, end=True, **changes):
        """The right 200 to a claim, but for `body` and changed fields (None leaves one out)."""
        request.answer(200, self.claim_fields(**changes), self.sealed if body is None else body, end=end)

    def answer_resume(self, request):
        start = int(request.headers.get("range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        if request.headers.get("if-range") not in (None, self.etag) or "range" not in request.headers:
            request.answer(200, self.fields() + [("content-length", str(len(self.sealed)))], self.sealed)
            return
        rest = self.sealed[start:]
        request.answer(206, self.fields() + [("content-length", str(len(rest))), (
            "content-range", f"bytes {start}-{len(self.sealed) - 1}/{len(self.sealed)}")], rest)

    def serve(self, request, verb):
        seen = {"claim": self.claims, "": self.resumes, "ack": self.acks, "nack": self.nacks,
                "status": self.statuses}.get(verb)
        if seen is None or request.headers.get("authorization") != f"Restante {b64(self.ka)}":
            request.answer(404)
            return
        seen.append(request.headers | {"at": time.monotonic()})
        if verb == "claim":
            (self.on_claim or (lambda r, t: t.answer_claim(r)))(request, self)
        elif verb == "":
            (self.on_resume or (lambda r, t: t.answer_resume(r)))(request, self)
        elif verb == "status" and self.on_status:
            self.on_status(request, self)
        else:
            request.answer(204)

    # --- b's side

    def job(self):
        """The job at b, or None."""
        found = jobs(self.evil.bed.b, sender=self.sender)
        check(len(found) <= 1, f"jobs of {self.sender}: {found}")
        return found[0] if found else None

    def wait_job(self, state=None, *, tries=0, timeout=30):
        """Waits until the job has a state ("ended": any final one) and so many tries; returns it."""
        last = []

        def there():
            last[:] = [self.job()]
            job = last[0]
            right = job and (state is None or job["state"] == state or (state == "ended" and job["state"] in ENDED_JOBS))
            return job if right and job["tries"] >= tries else None
        try:
            return wait_for(f"a job to be {state or 'there'} after {tries} tries", there, timeout, 0.1)
        except Exception as e:
            raise Failure(f"{e}; it is {last}") from e

    def wait_tried(self, timeout=30):
        """Waits until the first call for it has ended, well or not; returns the job."""
        return wait_for("a first try", lambda: (job := self.job()) and (job["tries"] or job["state"] in ENDED_JOBS) and job,
                        timeout, 0.05)

    def wait_nack(self, reason, timeout=30):
        """Waits for the nack; its text."""
        wait_for(f"a nack of {self.sender}", lambda: self.nacks, timeout, 0.05)
        equal(self.nacks[0].get("restante-reason"), reason, f"reason of the nack ({self.nacks[0].get('restante-text')})")
        equal(self.acks, [], "acks")
        return self.nacks[0].get("restante-text", "")


class Evil:
    """A domain of its own below .test whose link host is at x, on a port of its own. A context manager.

    handler(request): answers everything in place of the tickets. certificate: arguments of Pki.issue. Further arguments go
    to LinkHost. tlsa: the data of TLSA records for it; signed: whether its zone is. pki: another than the bed's.
    """

    def __init__(self, bed, *, handler=None, certificate=None, designation="", tlsa=(), signed=True, pki=None,
                 **options):
        self.bed, self.tickets = bed, {}
        self.domain = f"evil{os.getpid()}x{next(_numbers)}.test"
        self.host_name = f"pull.{self.domain}"
        issue = {"hosts": [self.host_name]} | (certificate or {})
        self.certificate = (pki or bed.pki).issue(self.host_name, **issue)
        self.host = LinkHost(bed.x, self.certificate, handler or self.serve, **({"port": 0} | options))
        self.designation, self.tlsa, self.signed = designation, tlsa, signed

    def __enter__(self):
        self.host.__enter__()
        self.announce(self.host.listener.getsockname()[1])
        return self

    def announce(self, port):
        """Designates this port of the link host, and has new stubs name it."""
        self.port = port
        record = f"v=restante1; h={self.host_name}:{port}; r=1{self.designation}"
        self.bed.dns.zone(self.domain, mail_records(self.bed.x.address, record) + [f"pull A {self.bed.x.address}"] +
                          [f"_{port}._tcp.pull TLSA {data}" for data in self.tlsa], signed=self.signed)

    def __exit__(self, *_):
        self.host.__exit__()
        self.bed.dns.remove(self.domain)

    def ticket(self, letter=None, to="bob@b.test", **options):
        letter = letter if letter is not None else self.letter(to)
        ticket = EvilTicket(self, letter, to, **options)
        self.tickets[ticket.path] = ticket
        return ticket

    def letter(self, to="bob@b.test", body=b"An ordinary letter.\r\n"):
        from harness import letter
        return letter(f"eve@{self.domain}", to, body=body)

    def serve(self, request):
        parts = request.path.split("/")
        ticket = self.tickets.get("/".join(parts[:5]))
        if ticket is None:
            request.answer(404)
        else:
            ticket.serve(request, "/".join(parts[5:]))

    def seen(self):
        """All requests that came, as a list."""
        found = []
        with contextlib.suppress(Exception):
            while True:
                found.append(self.host.requests.get_nowait())
        return found
