"""The serving side, request by request, with the keys of a real stub: what a bare GET, a wrong key, an undesignated puller, a
wrong claim, a second claimer, a resumed body, a wrong ack get, and what never changes anything."""

import base64
import contextlib
import hashlib
import os
import shutil
import signal
import ssl

from harness import check, equal, letter, submit, wait_for
from http2 import Client, tls_socket
from restante import caught, configured, stub_tags, ticket

NEEDS = ("restante",)


class Call:
    """A caller at a site with the keys of a stub."""

    def __init__(self, bed, site, tags):
        self.client = Client(tls_socket(site, bed.a.address, "pull.a.test"), "pull.a.test")
        self.path, self.key = tags["u"].partition("pull.a.test")[2], tags["a"]

    def __call__(self, method, verb="", key=None, **fields):
        headers = {name.replace("_", "-"): value for name, value in fields.items() if value is not None}
        if key != "":
            headers["authorization"] = f"Restante {key or self.key}"
        answer = self.client.request(method, self.path + verb, headers)
        if answer.status != 405:
            equal((answer.headers.get("restante"), answer.headers.get("cache-control")), ("1", "no-store"),
                  f"fields of the answer to {method} {verb}")
        return answer

    def claim(self, token="A" * 22, **changes):
        fields = {"restante_lease": token, "restante_sender": "alice@a.test", "restante_recipient": "bob@b.test",
                  "restante_from": "alice@a.test"} | changes
        return self("POST", "/claim", **fields)


@contextlib.contextmanager
def a_ticket(bed, size=200_000):
    """A waiting ticket for bob@b.test: (letter, tags of its stub)."""
    raw = letter(body=os.urandom(size // 2).hex().encode() + b"\r\n")
    with caught(bed, "b.test") as sink:
        submit(bed.a, "alice@a.test", ["bob@b.test"], raw)
        mail = sink.one()
    yield raw, stub_tags(mail.raw)


def test_notify_in_one_spelling(bed):
    """What the sender's client wrote in lower case reaches the puller in the protocol's form."""
    with caught(bed, "b.test") as sink:
        submit(bed.a, "alice@a.test", ["bob@b.test"], letter(), rcpt="NOTIFY=failure,Delay")
        call = Call(bed, bed.b, stub_tags(sink.one().raw))
    answer = call.claim()
    equal((answer.status, answer.headers.get("restante-notify")), (200, "FAILURE,DELAY"), "answer")


def test_what_changes_nothing(bed):
    """Bare GET and HEAD (link scanners), HEAD with the key, another method, a malformed request, a wrong claim."""
    with a_ticket(bed) as (raw, tags):
        call = Call(bed, bed.b, tags)
        for method in ("GET", "HEAD"):
            equal(call(method, key="").status, 401, f"bare {method}")
        answer = call("HEAD")
        equal((answer.status, answer.headers.get("restante-size")), (204, str(len(raw))), "HEAD with the key")
        equal(call("DELETE").status, 405, "another method")
        equal(call("POST", "/claim").status, 400, "a claim without its fields")
        equal(call.claim("short").status, 400, "a claim with a bad token")
        for field, value in (("restante_sender", "carol@a.test"), ("restante_recipient", "carol@b.test"),
                             ("restante_from", "boss@a.test")):
            equal(call.claim(**{field: value}).status, 409, f"a claim with another {field}")
        equal(call("POST", "/ack", restante_digest="A" * 43).status, 409, "an ack before any claim")
        equal(ticket(bed.a, raw)["state"], "waiting", "state")


def test_wrong_keys(bed):
    """A wrong Ka, B or A: the same 404 each time; after wrong_keys_max of them 429, and the right key works elsewhere."""
    with configured(bed.a, wrong_keys_max="10"), a_ticket(bed) as (raw, tags):
        call = Call(bed, bed.x, tags)
        first = call("HEAD", key="B" * 42 + "A")
        bodies = set()
        for path in (call.path, call.path[:-22] + "A" * 22, "/restante/1/" + "A" * 22 + "/" + "A" * 22):
            call.path = path
            answer = call("POST", "/claim", key="B" * 42 + "A")
            equal(answer.status, 404, f"answer for {path}")
            bodies.add((answer.body, tuple(sorted((k, v) for k, v in answer.headers.items() if k != "date"))))
        equal(len(bodies), 1, f"different answers to wrong keys ({first.status})")
        wait_for("429", lambda: call("HEAD", key="B" * 42 + "A").status == 429, 10, 0.01)
        check(int(call("HEAD", key="B" * 42 + "A").headers["retry-after"]) > 0, "Retry-After")
        # An IPv4 network of the bed is throttled as a whole; the ticket itself is unharmed.
        equal(ticket(bed.a, raw)["state"], "waiting", "state")


def test_undesignated_puller(bed):
    """The right key from an address that b.test does not designate: 403, no change."""
    with a_ticket(bed) as (raw, tags):
        call = Call(bed, bed.x, tags)
        equal(call.claim().status, 403, "claim")
        equal(call("HEAD").status, 403, "HEAD")
        equal(call("POST", "/nack", restante_reason="denied").status, 403, "nack")
        equal(ticket(bed.a, raw)["state"], "waiting", "state")


def test_client_certificate(bed):
    """The same puller with a certificate of a host that b.test designates is served."""
    with a_ticket(bed) as (raw, tags):
        call = Call(bed, bed.x, tags)
        call.client = Client(tls_socket(bed.x, bed.a.address, "pull.a.test",
                                        certificate=bed.pki.issue("as-b", ["pull.b.test"])), "pull.a.test")
        equal(call("HEAD").status, 204, "HEAD")
        call.client = Client(tls_socket(bed.x, bed.a.address, "pull.a.test",
                                        certificate=bed.pki.issue("as-other", ["pull.other.test"])), "pull.a.test")
        equal(call("HEAD").status, 403, "HEAD with a certificate of another host")


def test_lease_resume_ack(bed):
    """Claim, the same token again, another token, resume by Range, wrong and right ack, what a finished ticket says."""
    with a_ticket(bed) as (raw, tags):
        call, token, other = Call(bed, bed.b, tags), "A" * 22, "Q" * 21 + "A"
        claimed = call.claim(token)
        equal(claimed.status, 200, "claim")
        size = len(claimed.body)
        equal(claimed.headers["content-length"], str(size), "Content-Length")
        equal(claimed.headers["content-location"], call.path, "Content-Location")
        again = call.claim(token)
        equal((again.status, again.body == claimed.body, again.headers["restante-wrap"]),
              (200, True, claimed.headers["restante-wrap"]), "the same token again")
        answer = call.claim(other)
        equal(answer.status, 423, "another token")
        check(int(answer.headers["retry-after"]) > 0, "Retry-After")
        etag = claimed.headers["etag"]
        check(etag.startswith('"'), f"a strong ETag: {etag}")
        part = call("GET", restante_lease=token, range=f"bytes={size - 1000}-", if_range=etag)
        equal((part.status, part.body), (206, claimed.body[-1000:]), "a part")
        equal(part.headers["content-range"], f"bytes {size - 1000}-{size - 1}/{size}", "Content-Range")
        equal(call("GET", restante_lease=token, range="bytes=10-", if_range='"other"').body, claimed.body, "another If-Range")
        equal(call("GET", restante_lease=token, range=f"bytes={size}-", if_range=etag).status, 416, "beyond the end")
        equal(call("GET", restante_lease=other, range="bytes=0-").status, 409, "another's lease")
        equal(call("POST", "/nack", restante_lease=other, restante_reason="denied").status, 409, "nack under another's lease")
        equal(call("POST", "/ack", restante_digest="A" * 43).status, 422, "a wrong digest")
        equal(ticket(bed.a, raw)["state"], "leased", "state")
        digest = base64.urlsafe_b64encode(hashlib.sha256(raw).digest()).rstrip(b"=").decode()
        for _ in range(2):
            equal(call("POST", "/ack", restante_digest=digest).status, 204, "ack")
        answer = call.claim(token)
        equal((answer.status, answer.headers["restante-reason"]), (410, "acked"), "claim after the ack")
        equal(ticket(bed.a, raw)["state"], "delivered", "state")


def test_only_http2(bed):
    """A client without HTTP/2 is refused in the handshake; one that negotiates nothing is closed."""
    try:
        tls_socket(bed.b, bed.a.address, "pull.a.test", alpn=("http/1.1",)).close()
        check(False, "the handshake went through")
    except ssl.SSLError as e:
        check("ALERT" in str(e) or "alert" in str(e), f"{e}")
    try:
        with tls_socket(bed.b, bed.a.address, "pull.a.test", alpn=()) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\nHost: pull.a.test\r\n\r\n")
            check(b"HTTP/1" not in plain.recv(1000), "HTTP/1 was answered")
    except (ssl.SSLError, ConnectionError):
        pass


def test_certificate_is_read_again(bed):
    """SIGHUP: the next connection sees the new certificate, open ones live on."""
    daemons = bed.a.daemons
    old = tls_socket(bed.b, bed.a.address, "pull.a.test")
    before = old.getpeercert(True)
    new = bed.pki.issue("pull.a.test.second", ["pull.a.test"])
    kept = {end: open(f"{daemons.etc}/tls.{end}", "rb").read() for end in ("crt", "key")}
    try:
        for path, end in zip(new, ("crt", "key")):
            shutil.copyfile(path, f"{daemons.etc}/tls.{end}")
        os.kill(daemons.pid("fetchd"), signal.SIGHUP)

        def changed():
            with tls_socket(bed.b, bed.a.address, "pull.a.test") as fresh:
                return fresh.getpeercert(True) != before
        wait_for("the new certificate", changed, 10, 0.1)
        with Client(old, "pull.a.test") as client:
            equal(client.request("GET", "/restante/1/" + "A" * 22 + "/" + "A" * 22).status, 401, "the open connection")
    finally:
        for end, octets in kept.items():
            with open(f"{daemons.etc}/tls.{end}", "wb") as f:
                f.write(octets)
        os.kill(daemons.pid("fetchd"), signal.SIGHUP)
