"""What the cases of certificates use: a server of revocation lists, OCSP answers, and a TLS server that staples them."""

import contextlib
import datetime
import http.server
import itertools
import os
import ssl
import threading

import OpenSSL.SSL
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from restante import zones

DAY = 86400
LONG = 60 * DAY  # a life that needs a revocation check
_numbers = itertools.count(1)


def point(url):
    """The extension that names a CRL."""
    return f"crlDistributionPoints=URI:{url}"


class CrlServer:
    """An HTTP server at x, port 80, under a name of its own: .files[path] = bytes, a number (an answer without a body), or an
    Event (nothing until it is set).
    .asked: the paths that were asked for. .zone: records beside its own. A context manager."""

    def __init__(self, bed, *records):
        name = f"crl{os.getpid()}x{next(_numbers)}"
        self.bed, self.zone, self.records = bed, name, [f"crl A {bed.x.address}", *records]
        self.host, self.files, self.asked = f"crl.{name}.test", {}, []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked.append(self.path)
                found = outer.files.get(self.path, 404)
                if isinstance(found, threading.Event):
                    found.wait(60)
                    found = 503
                self.send_response(200 if isinstance(found, bytes) else found)
                if found == 302:
                    self.send_header("Location", f"http://{outer.host}/good.crl")
                body = found if isinstance(found, bytes) else b""
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(body)

            def log_message(self, *_):
                pass

        with bed.x.inside():
            self.server = http.server.ThreadingHTTPServer((bed.x.address, 80), Handler)

    def url(self, path):
        return f"http://{self.host}{path}"

    def publish(self, path, by="intermediate", **dates):
        """The CRL of an issuer as of now."""
        file = f"{self.bed.pki.folder}/{by}.crl"
        self.bed.pki.crl(file, by, **dates)
        with open(file, "rb") as f:
            self.files[path] = f.read()

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        self.stack.enter_context(zones(self.bed, **{self.zone: self.records}))
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.stack.close()


# --- OCSP

def _load(path):
    with open(path, "rb") as f:
        return f.read()


def _responder(key, issuer, issuer_key, usage):
    """A certificate by the issuer for another key that may answer for it, if usage says so."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Restante test responder")])
    now = datetime.datetime.utcnow()
    return (x509.CertificateBuilder().subject_name(name).issuer_name(issuer.subject).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=2)).add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .sign(issuer_key, SHA256()))


def ocsp_answer(bed, certificate, *, revoked=False, start=-3600, end=DAY, signer="issuer", of=None):
    """An OCSP answer (DER) about a certificate file by bed.pki.issue. signer: "issuer", "delegate" (whom the issuer named),
    "other" (of the same issuer, but not for this), "stranger" (the root). of: the file of another certificate."""
    base = f"{bed.pki.folder}/intermediate.ca/intermediate"
    issuer = x509.load_pem_x509_certificate(_load(f"{base}.crt"))
    issuer_key = load_pem_private_key(_load(f"{base}.key"), None)
    leaf = x509.load_pem_x509_certificate(_load(of or certificate))
    now = datetime.datetime.utcnow()
    at = lambda seconds: now + datetime.timedelta(seconds=seconds)  # noqa: E731
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=leaf, issuer=issuer, algorithm=SHA256(),
        cert_status=ocsp.OCSPCertStatus.REVOKED if revoked else ocsp.OCSPCertStatus.GOOD, this_update=at(start),
        next_update=at(end), revocation_time=at(-7200) if revoked else None, revocation_reason=None)
    if signer == "issuer":
        who, key = issuer, issuer_key
    elif signer == "stranger":
        root = f"{bed.pki.folder}/root.ca/root"
        who, key = x509.load_pem_x509_certificate(_load(f"{root}.crt")), load_pem_private_key(_load(f"{root}.key"), None)
    else:
        key = load_pem_private_key(_load(certificate.removesuffix(".crt") + ".key"), None)
        usage = ExtendedKeyUsageOID.OCSP_SIGNING if signer == "delegate" else ExtendedKeyUsageOID.SERVER_AUTH
        who = _responder(key, issuer, issuer_key, usage)
        builder = builder.certificates([who])
    return builder.responder_id(ocsp.OCSPResponderEncoding.HASH, who).sign(key, SHA256()).public_bytes(Encoding.DER)


class _Stapled:
    """A pyOpenSSL connection with the face of ssl.SSLSocket, as far as http2.LinkHost looks at it."""

    def __init__(self, connection, raw):
        self.connection, self.raw, self.timeout = connection, raw, raw.gettimeout()

    def selected_alpn_protocol(self):
        return self.connection.get_alpn_proto_negotiated().decode() or None

    def pending(self):
        return self.connection.pending()

    def fileno(self):
        return self.raw.fileno()

    def settimeout(self, timeout):
        self.raw.settimeout(timeout)

    def recv(self, size):
        try:
            return self.connection.recv(size)
        except OpenSSL.SSL.WantReadError:
            raise ssl.SSLWantReadError from None
        except OpenSSL.SSL.ZeroReturnError:
            return b""
        except OpenSSL.SSL.Error as e:
            raise ConnectionError(str(e)) from None

    def sendall(self, data):
        self.raw.settimeout(None)
        try:
            self.connection.sendall(data)
        except OpenSSL.SSL.Error as e:
            raise ConnectionError(str(e)) from None

    def close(self):
        self.raw.close()


class Stapling:
    """Stands in for a LinkHost's .context: serves a certificate with an OCSP answer stapled to it. .asked: how often a client
    asked for one."""

    def __init__(self, certificate, answer):
        self.asked = 0
        self.context = OpenSSL.SSL.Context(OpenSSL.SSL.TLS_SERVER_METHOD)
        self.context.use_certificate_chain_file(certificate[0])
        self.context.use_privatekey_file(certificate[1])
        self.context.set_alpn_select_callback(lambda connection, offered: b"h2")

        def staple(connection, data):
            self.asked += 1
            return answer
        self.context.set_ocsp_server_callback(staple)

    def wrap_socket(self, raw, server_side):
        raw.settimeout(None)
        connection = OpenSSL.SSL.Connection(self.context, raw)
        connection.set_accept_state()
        try:
            connection.do_handshake()
        except OpenSSL.SSL.Error as e:
            raise ConnectionError(str(e)) from None
        return _Stapled(connection, raw)
