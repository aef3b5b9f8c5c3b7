"""The bed's own HTTP/2 link host and client talk to each other, and curl agrees with them; host x has nothing else."""

import ssl

from harness import check, equal
from http2 import Client, LinkHost, tls_socket


def echo(request):
    request.answer(200, [("x-method", request.method)], request.body * 3 if request.body else b"hello")


def test_client_and_host(bed):
    """A body larger than the flow-control window goes both ways."""
    with LinkHost(bed.x, bed.pki.issue("link.x.test", ["link.x.test"]), echo) as host:
        with Client(tls_socket(bed.a, bed.x.address, "link.x.test"), "link.x.test") as client:
            answer = client.request("POST", "/x", {"content-type": "a/b"}, b"0123456789" * 30_000)
            equal((answer.status, answer.headers["x-method"], len(answer.body)), (200, "POST", 900_000), "answer")
            equal(host.next_request().headers["content-type"], "a/b", "header field")
        curl = bed.a.exec(["curl", "-sS", "--http2", "--cacert", bed.pki.root, "--resolve", f"link.x.test:443:{bed.x.address}",
                           "https://link.x.test/y"])
        equal(curl.stdout, b"hello", "curl's answer")
        equal(host.connections(), 2, "connections")


def test_bad_certificates_are_seen(bed):
    """Expired, self-signed and wrong-name certificates of the test CA are what they say."""
    bad = {"expired": bed.pki.issue("bad1", ["link.x.test"], start=-9 * 86400, end=-60),
           "self-signed": bed.pki.issue("bad2", ["link.x.test"], by="self"),
           "mismatch": bed.pki.issue("bad3", ["other.x.test"])}
    for why, certificate in bad.items():
        with LinkHost(bed.x, certificate, echo):
            try:
                tls_socket(bed.a, bed.x.address, "link.x.test").close()
                check(False, f"{why}: the handshake went through")
            except ssl.SSLCertVerificationError as e:
                check(why in str(e), f"{why}: refused for another reason: {e}")
