"""Link hosts whose certificate or protocol is not what it must be never see a key: no request arrives at them at all."""

import re
import socket
import ssl
import threading

from evil import Evil
from harness import Box, check, equal, wait_for
from restante import configured, fetchd_log

NEEDS = ("restante",)


class Raw:
    """A TLS server at x that is not HTTP/2 at all: keeps what is sent to it after the handshake. talk(connection, first)."""

    def __init__(self, bed, certificate, *, alpn=None, answer=b""):
        self.got, self.answer, self.count = [], answer, 0
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*certificate)
        if alpn:
            self.context.set_alpn_protocols(alpn)
        with bed.x.inside():
            self.listener = socket.create_server((bed.x.address, 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                raw, _ = self.listener.accept()
            except OSError:
                return
            self.count += 1
            threading.Thread(target=self.talk, args=(raw,), daemon=True).start()

    def talk(self, raw):
        raw.settimeout(20)
        try:
            with self.context.wrap_socket(raw, server_side=True) as tls:
                if data := tls.recv(65536):
                    self.got.append(data)
                    tls.sendall(self.answer)
        except OSError:
            pass

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def test_bad_certificates(bed):
    """Of another name, expired, not yet valid, self-signed, without its intermediate, of a strange CA: retried, no request
    comes through, nothing is delivered."""
    box = Box(bed.b, "dave")
    bad = {"another name": {"hosts": ["pull.other.test"]}, "expired": {"start": -9 * 86400, "end": -60},
           "not yet valid": {"start": 3600, "end": 5 * 86400}, "self-signed": {"by": "self"}, "no intermediate": {"chain": False},
           "a name below": {"hosts": ["x.pull.evil.test"]}, "a star of all": {"hosts": ["*.test", "*"]}}
    with configured(bed.b, retry_min="1s", retry_max="1s"):
        for what, certificate in bad.items():
            with Evil(bed, certificate=certificate) as evil:
                ticket = evil.ticket(to="dave@b.test").offer()
                job = ticket.wait_job("waiting", tries=1)
                check("TLS" in job["text"] or "certificate" in job["text"], f"{what}: the job says: {job['text']}")
                check(evil.host.connections() >= 1, f"{what}: nobody came")
                equal(evil.seen(), [], f"{what}: requests")
        equal(box.new(), [], "letters")


def test_no_http2(bed):
    """A host that negotiates no HTTP/2 (HTTP/1.1 by ALPN, no ALPN at all): not a word is sent to it, and it is left alone."""
    for alpn in (["http/1.1"], None):
        with configured(bed.b, retry_min="1s", retry_max="1s"), Evil(bed) as evil:
            raw = Raw(bed, bed.pki.issue("h1." + evil.host_name, [evil.host_name]), alpn=alpn,
                      answer=b"HTTP/1.1 200 OK\r\nRestante: 1\r\nContent-Length: 0\r\n\r\n")
            try:
                evil.announce(raw.port)
                evil.ticket(to="dave@b.test").offer().wait_job("waiting", tries=1)
                log = fetchd_log(bed.b)
                evil.ticket(to="dave@b.test").offer()
                log.wait(rf"host={re.escape(evil.host_name)} .*status=deferred \(the host is left alone")
                check(all(b"uthorization" not in data and b"Restante" not in data for data in raw.got), f"it was told {raw.got}")
                equal(raw.count, 1, "connections")
            finally:
                raw.close()


def test_old_tls(bed):
    """A host that speaks TLS 1.1 at most, or 1.2 with CBC or RSA key exchange alone, is not talked to; 1.2 with AEAD and 1.3
    are."""
    box = Box(bed.b, "dave")
    ways = {"TLS 1.2, AEAD": (True, ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-GCM-SHA256"),
            "TLS 1.2, ChaCha20": (True, ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-CHACHA20-POLY1305"),
            "TLS 1.3": (True, ssl.TLSVersion.TLSv1_3, None),
            "TLS 1.2, CBC": (False, ssl.TLSVersion.TLSv1_2, "ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA384"),
            "TLS 1.1": (False, ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0")}
    for what, (fine, version, ciphers) in ways.items():
        with Evil(bed) as evil:
            context = evil.host.context
            context.minimum_version = ssl.TLSVersion.TLSv1_1 if not fine else version
            context.maximum_version = version
            if ciphers:
                context.set_ciphers(ciphers)
            ticket = evil.ticket(to="dave@b.test").offer()
            if fine:
                ticket.wait_job("acked")
            else:
                job = ticket.wait_job("waiting", tries=1)
                check("TLS" in job["text"], f"{what}: the job says: {job['text']}")
                equal(evil.seen(), [], f"{what}: requests")
    wait_for("three letters", lambda: len(box.new()) == 3, 10, 0.05)


def test_host_that_is_away(bed):
    """Nobody listens: retried; after some failures the host is left alone, and once it is back its letter arrives."""
    with configured(bed.b, retry_min="1s", retry_max="1s"), Evil(bed) as evil:
        ticket = evil.ticket(to="dave@b.test")
        evil.host.__exit__()
        ticket.offer()
        job = ticket.wait_job("waiting", tries=2)
        check("connect" in job["text"], f"the job says: {job['text']}")
