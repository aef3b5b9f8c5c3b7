"""a's HTTPS listener: TLS versions and suites, the PROXY protocol, and certificates that change while it runs."""

import contextlib
import os
import shutil
import signal
import socket
import ssl
import struct

from evil import b64
from harness import Failure, check, equal, letter, wait_for
from http2 import Client
from puller import end, waiting
from restante import configured, fetchd_log

NEEDS = ("restante",)


def connect(bed, site, *, before=b"", address=None, context=None):
    """A TLS connection to a; before: octets that go ahead of the handshake."""
    if context is None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(bed.pki.root)
    context.set_alpn_protocols(["h2"])
    with site.inside():
        raw = socket.create_connection((address or bed.a.address, 443), timeout=15)
    try:
        raw.sendall(before)
        return context.wrap_socket(raw, server_hostname="pull.a.test")
    except BaseException:
        raw.close()
        raise


# --- TLS

def test_versions_and_suites(bed):
    """TLS 1.3 and 1.2 with ECDHE and AEAD; not 1.1 or 1.0, not CBC, not RSA key exchange, no renegotiation, no compression."""
    v = ssl.TLSVersion
    ways = {
        "1.3": (v.TLSv1_3, None, True), "1.2": (v.TLSv1_2, None, True),
        "1.2 AES-128-GCM": (v.TLSv1_2, "ECDHE-ECDSA-AES128-GCM-SHA256", True),
        "1.2 AES-256-GCM": (v.TLSv1_2, "ECDHE-ECDSA-AES256-GCM-SHA384", True),
        "1.2 ChaCha20": (v.TLSv1_2, "ECDHE-ECDSA-CHACHA20-POLY1305", True),
        "1.2 CBC": (v.TLSv1_2, "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA:AES128-SHA:AES256-SHA256", False),
        "1.2 CCM": (v.TLSv1_2, "ECDHE-ECDSA-AES128-CCM8", False),
        "1.2 null": (v.TLSv1_2, "NULL:eNULL:@SECLEVEL=0", False),
        "1.1": (v.TLSv1_1, "ALL:@SECLEVEL=0", False), "1.0": (v.TLSv1, "ALL:@SECLEVEL=0", False),
    }
    for what, (version, ciphers, fine) in ways.items():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(bed.pki.root)
        context.minimum_version = context.maximum_version = version
        if ciphers:
            context.set_ciphers(ciphers)
        try:
            with connect(bed, bed.b, context=context) as connection:
                check(fine, f"{what}: accepted as {connection.cipher()}")
                equal(connection.selected_alpn_protocol(), "h2", "ALPN")
                check(connection.compression() is None, "compression")
        except (ssl.SSLError, ConnectionError) as e:
            check(not fine, f"{what}: refused: {e}")


# --- PROXY protocol

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v1(source, target):
    family = "TCP6" if ":" in source else "TCP4"
    return f"PROXY {family} {source} {target} 4711 443\r\n".encode()


def v2(source, target, *, command=1, tlvs=b""):
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    addresses = socket.inet_pton(family, source) + socket.inet_pton(family, target) + struct.pack(">HH", 4711, 443) + tlvs
    return SIGNATURE + bytes([0x20 | command, 0x21 if ":" in source else 0x11]) + struct.pack(">H", len(addresses)) + addresses


def asked(bed, offer, before, site=None, **options):
    """The status of a HEAD behind a PROXY header; None when the connection is closed."""
    try:
        with Client(connect(bed, site or bed.x, before=before), "pull.a.test") as client:
            return offer.head(client, **options).status
    except (OSError, ssl.SSLError):
        return None


def test_proxy_protocol(bed):
    """From x as a listed balancer: the address in a header of version 1 or 2 counts, by IPv4 and IPv6; no or a broken header
    closes the connection; from others a header is no TLS."""
    a4, a6 = bed.a.address, bed.a.address6
    with configured(bed.a, proxy_protocol_from=f"{bed.x.address}/32", wrong_keys_max="5"), \
            waiting(bed, letter(), to="bob@b.test") as offer:
        b4, b6, stranger = bed.b.address, bed.b.address6, "192.0.2.9"
        ways = {"v1 of b": (v1(b4, a4), 204), "v1 of b by IPv6": (v1(b6, a6), 204), "v2 of b": (v2(b4, a4), 204),
                "v2 of b by IPv6": (v2(b6, a6), 204), "v2 with TLVs": (v2(b4, a4, tlvs=b"\x04\0\x05hello" * 20), 204),
                "v1 of a stranger": (v1(stranger, a4), 403), "v2 of a stranger": (v2(stranger, a4), 403),
                "v1 UNKNOWN": (b"PROXY UNKNOWN\r\n", 403), "v2 LOCAL": (v2(b4, a4, command=0), 403),
                "none": (b"", None), "v1 without CRLF": (b"PROXY TCP4 " + b"1" * 200, None),
                "v1 with an odd address": (v1(b4, a4).replace(b4.encode(), b"10.89.77.999"), None),
                "v1 in lower case": (v1(b4, a4).lower(), None), "v2 of another version": (v2(b4, a4).replace(b"\x21\x11", b"\x31\x11"), None),
                "v2 too long": (SIGNATURE + b"\x21\x11\xff\xff" + b"x" * 65535, None),
                "v2 too short": (SIGNATURE + b"\x21\x11\0\x04" + b"x" * 4, None), "two": (v1(b4, a4) * 2, None)}
        for what, (before, status) in ways.items():
            equal(asked(bed, offer, before), status, f"answer behind {what}")
        equal(asked(bed, offer, v1(b4, a4), site=bed.b), None, "a header from an address that is not listed")
        with offer.client() as client:
            end(offer.head(client), 204, "b itself without a header")
        # Wrong keys are counted for whom the header names.
        for _ in range(11):
            last = asked(bed, offer, v1(stranger, a4), key=b64(os.urandom(32)))
        equal(last, 429, "answer to many wrong keys")
        equal(asked(bed, offer, v1("198.51.100.1", a4)), 403, "answer to another stranger")
        equal(asked(bed, offer, v1(b4, a4)), 204, "answer to b")


# --- certificates that change

def serial(bed, address=None):
    with connect(bed, bed.b, address=address) as connection:
        return connection.getpeercert()["serialNumber"]


@contextlib.contextmanager
def certificate_files(bed):
    """Gives a function that puts certificate and key in place and sends SIGHUP; the old ones come back at the end."""
    files = [f"{bed.a.daemons.etc}/tls.{end}" for end in ("crt", "key")]
    saved = []
    for path in files:
        with open(path, "rb") as f:
            saved.append(f.read())

    def put(certificate, key):
        for path, octets in zip(files, (certificate, key)):
            with open(f"{path}.new", "wb") as f:
                f.write(octets)
            os.chmod(f"{path}.new", 0o600)
            shutil.chown(f"{path}.new", "restante", "restante")
            os.rename(f"{path}.new", path)
        log = fetchd_log(bed.a)
        os.kill(bed.a.daemons.pid("fetchd"), signal.SIGHUP)
        return log
    put.old = saved
    try:
        yield put
    finally:
        put(*saved).wait("certificate and key read again")


def read(path):
    with open(path, "rb") as f:
        return f.read()


def test_reload(bed):
    """A new certificate and SIGHUP: connections that are open go on, new ones see it, on both addresses. A broken one, one that
    does not fit its key, or none at all: the old one stays and the log says so."""
    with waiting(bed, letter()) as offer, certificate_files(bed) as put, offer.client() as client:
        end(offer.head(client), 204)
        before = serial(bed)
        certificate, key = (read(path) for path in bed.pki.issue("reloaded", ["pull.a.test"]))
        put(certificate, key).wait("certificate and key read again")
        after = wait_for("the new certificate", lambda: (got := serial(bed)) != before and got, 5, 0.1)
        equal(serial(bed, bed.a.address6), after, "certificate by IPv6")
        end(offer.head(client), 204, "on the connection that was open")
        other_key = read(bed.pki.issue("unfitting", ["pull.a.test"])[1])
        bad = {"garbage": (b"garbage", key), "half": (certificate[:200], key), "another key": (certificate, other_key),
               "no key": (certificate, b""), "key as certificate": (key, key)}
        for what, pair in bad.items():
            put(*pair).wait("the old certificate stays", 5)
            equal(serial(bed), after, f"certificate after {what}")
            end(offer.head(client), 204)
        path = f"{bed.a.daemons.etc}/tls.crt"
        os.unlink(path)
        log = fetchd_log(bed.a)
        os.kill(bed.a.daemons.pid("fetchd"), signal.SIGHUP)
        log.wait("the old certificate stays", 5)
        equal(serial(bed), after, "certificate without a file")
        end(offer.claim(client), 200)
        end(offer.ack(client), 204)
    equal(serial(bed), before, "certificate in the end")
