"""Pullers of a test's own making: letters that lie ready at a, whose stubs the test has caught, called for frame by frame.

    with waiting(bed, letter()) as offer, offer.client(bed.b) as client:
        answer = offer.claim(client)
"""

import base64
import contextlib
import hashlib
import itertools
import os

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from evil import CHUNK, HEADER, TAG, b64, field_text, hkdf
from harness import check, equal, submit
from http2 import Client, tls_socket
from restante import Sink, caught, mail_records, stub_tags, ticket, zones

_numbers = itertools.count(1)


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def unseal(sealed, wrap, kd, a):
    """docs/PROTOCOL.md, "Sealed payload", for what is right."""
    key = hkdf(kd, a, b"restante/1/wrap" + sealed[24:40] + sealed[12:16])
    dek = AESGCM(key).decrypt(bytes(12), wrap, None)
    equal(hkdf(dek, sealed[40:64], b"restante/1/commitment" + sealed[:64]), sealed[64:96], "commitment")
    key = hkdf(dek, sealed[40:64], b"restante/1/payload" + sealed[:16] + sealed[24:40])
    out, pieces = [], [sealed[at:at + CHUNK + TAG] for at in range(HEADER, len(sealed), CHUNK + TAG)]
    for number, piece in enumerate(pieces):
        last = bytes([number == len(pieces) - 1])
        out.append(AESGCM(key).decrypt(number.to_bytes(11, "big") + last, piece, None))
    return b"".join(out)


class Offer:
    """A letter that waits at a, by its stub. .tags, .path, .key (Ka in base64url), .lease (a token)."""

    def __init__(self, bed, raw, mail, recipient):
        self.bed, self.raw, self.stub, self.recipient = bed, raw, mail, recipient
        self.tags = stub_tags(mail.raw)
        self.path = self.tags["u"].removeprefix("https://pull.a.test")
        self.key, self.lease, self.sender = self.tags["a"], b64(os.urandom(16)), self.tags["f"]
        self.digest = None

    def client(self, site=None, *, address=None, **options):
        """An HTTP/2 connection to a from a site (b). address: where to (a's IPv4); further options as in tls_socket()."""
        return Client(tls_socket(site or self.bed.b, address or self.bed.a.address, "pull.a.test", **options), "pull.a.test")

    def ask(self, client, method, verb="", key=None, **fields):
        """One request; fields as lease="..." or if_range="..."; a field of None is left out."""
        names = {"lease": "restante-lease", "sender": "restante-sender", "recipient": "restante-recipient",
                 "author": "restante-from", "digest": "restante-digest", "reason": "restante-reason", "text": "restante-text",
                 "status": "restante-status", "challenge": "restante-challenge"}
        headers = {"authorization": f"Restante {key or self.key}"} | \
            {names.get(name, name.replace("_", "-")): value for name, value in fields.items()}
        headers = {name: value for name, value in headers.items() if value is not None}
        answer = client.request(method, self.path + (f"/{verb}" if verb else ""), headers)
        if answer.status:
            equal((answer.headers.get("restante"), answer.headers.get("cache-control")), ("1", "no-store"), "fields of all answers")
        return answer

    def claim_fields(self, **changes):
        return {"lease": self.lease, "sender": field_text(self.sender), "recipient": field_text(self.recipient),
                "author": field_text(self.sender)} | changes

    def claim(self, client, **changes):
        """Claims; checks that the payload opens to the letter if the answer is 200."""
        answer = self.ask(client, "POST", "claim", **self.claim_fields(**changes))
        if answer.status == 200 and not answer.error:
            self.open(answer)
        return answer

    def open(self, answer):
        equal(answer.headers["repr-digest"], f"sha-256=:{base64.b64encode(hashlib.sha256(answer.body).digest()).decode()}:",
              "Repr-Digest")
        letter = unseal(answer.body, unb64(answer.headers["restante-wrap"]), unb64(self.tags["d"]), self.a())
        equal(len(letter), int(answer.headers["restante-size"]), "size")
        self.digest = b64(hashlib.sha256(letter).digest())
        return letter

    def a(self):
        return unb64(self.path.split("/")[3])

    def head(self, client, **options):
        return self.ask(client, "HEAD", **options)

    def resume(self, client, start, end="", **fields):
        return self.ask(client, "GET", **({"lease": self.lease, "range": f"bytes={start}-{end}"} | fields))

    def ack(self, client, **fields):
        return self.ask(client, "POST", "ack", **({"digest": self.digest} | fields))

    def nack(self, client, **fields):
        return self.ask(client, "POST", "nack", **({"lease": self.lease, "reason": "denied"} | fields))

    def state(self):
        return ticket(self.bed.a, self.raw, self.recipient)["state"]


def end(answer, status, what="answer"):
    """The answer has this status."""
    equal((answer.status, answer.error), (status, None), f"{what} {answer.headers.get('restante-error', '')}")
    return answer


@contextlib.contextmanager
def waiting(bed, *letters, to=None):
    """Letters submitted at a whose stubs the test got hold of. Gives an Offer, or a list of them. to: the recipient; without
    one it is bob in a domain whose MX is at x and whose pullers are x and, by p=, b."""
    offers = []
    with contextlib.ExitStack() as stack:
        if to:
            sink = stack.enter_context(caught(bed, to.rpartition("@")[2]))
        else:
            name = f"lie{os.getpid()}x{next(_numbers)}"
            record = f"v=restante1; h=pull.{name}.test; r=1; p=ip4:{bed.b.address},ip6:{bed.b.address6}"
            stack.enter_context(zones(bed, **{name: mail_records(bed.x.address, record)}))
            sink = stack.enter_context(Sink(bed.x))
            to = f"bob@{name}.test"
        for count, raw in enumerate(letters, 1):
            submit(bed.a, "alice@a.test", [to], raw)
            mail = sink.wait(count)[-1]
            offers.append(Offer(bed, raw, mail, to))
        check(offers, "no letters")
        yield offers[0] if len(offers) == 1 else offers
