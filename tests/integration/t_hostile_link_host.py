"""A hostile link host: a payload with one octet flipped, truncated or with more behind it, answers that redirect, compress,
never end, dribble, or contradict the stub: nothing is injected, other pulls are not delayed, and what stays wrong is refused
in the end. An honest host of the same making (sealed by the second implementation in tests/vectors) gets its letter through."""

import base64
import contextlib
import hashlib
import importlib.util
import os
import time

from bedlib.bed import SOURCE
from harness import Box, Smtp, check, equal, letter, lf, wait_for
from http2 import LinkHost
from restante import a_stub, configured, mail_records, strip_trace, zones

NEEDS = ("restante",)
TIMEOUT = 180


def vectors():
    spec = importlib.util.spec_from_file_location("generate", f"{SOURCE}/tests/vectors/generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


V = vectors()


class Ticket:
    """A ticket of mallory@evil.test for bob@b.test at a host, answered by answer(request, ticket)."""

    def __init__(self, zone, host, answer, body=b"The letter.\r\n", author=None):
        self.sender, self.host, self.answer = f"mallory@{zone}.test", f"{host}.{zone}.test", answer
        self.a, self.b, self.ka, self.kd, self.dek, self.id, self.salt = map(os.urandom, (16, 16, 32, 32, 32, 16, 24))
        self.raw = letter(author or self.sender, body=body)
        self.sealed = V.seal(1, self.dek, self.id, self.salt, self.raw)
        self.path = f"/restante/1/{V.b64(self.a)}/{V.b64(self.b)}"
        self.claims, self.acks, self.nacks = 0, [], []

    def stub(self):
        return a_stub(self.sender, url=f"https://{self.host}{self.path}", a=V.b64(self.ka), d=V.b64(self.kd),
                      s=str(len(self.raw)))

    def head(self, body=None, **changes):
        body = self.sealed if body is None else body
        fields = {"restante-wrap": V.b64(V.wrap(self.kd, self.a, self.id, 1, self.dek)),
                  "restante-sender": self.sender, "restante-recipient": "bob@b.test", "restante-size": str(len(self.raw)),
                  "restante-version": "1", "restante-expires": str(int(time.time()) + 86400), "content-location": self.path,
                  "etag": '"x.1"', "content-type": "application/octet-stream", "content-length": str(len(body)),
                  "repr-digest": "sha-256=:" + base64.b64encode(hashlib.sha256(body).digest()).decode() + ":"}
        fields.update({name.replace("_", "-"): value for name, value in changes.items()})
        return list(fields.items())


def honest(request, ticket):
    request.answer(200, ticket.head(), ticket.sealed)


def sends(change):
    """Answers with change(sealed) and a head that fits it."""
    def answer(request, ticket):
        body = change(ticket.sealed)
        request.answer(200, ticket.head(body), body)
    return answer


def flipped(at):
    return sends(lambda sealed: sealed[:at % len(sealed)] + bytes([sealed[at % len(sealed)] ^ 1]) + sealed[at % len(sealed) + 1:])


def heads(**changes):
    return lambda request, ticket: request.answer(200, ticket.head(**changes), ticket.sealed)


def redirects(request, ticket):
    request.answer(302, [("location", f"https://{ticket.host}/elsewhere")])


def never_ends(request, ticket):
    request.answer(200, ticket.head(content_length=None), ticket.sealed, end=False)
    while True:
        request.send(b"x" * 65536)


def dribbles(request, ticket):
    request.answer(200, ticket.head(), ticket.sealed[:100], end=False)
    for octet in ticket.sealed[100:]:
        time.sleep(1)
        request.send(bytes([octet]))


def ends_early(request, ticket):
    request.answer(200, ticket.head(), ticket.sealed[:-20], end=False)
    request.reset(8)


ANSWERS = {
    "flipped magic": flipped(0), "flipped version": flipped(9), "flipped length": flipped(23), "flipped salt": flipped(45),
    "flipped commitment": flipped(70), "flipped first octet": flipped(96), "flipped tag": flipped(-1),
    "truncated": sends(lambda sealed: sealed[:-20]), "header alone": sends(lambda sealed: sealed[:96]),
    "nothing": sends(lambda sealed: b""), "trailing octet": sends(lambda sealed: sealed + b"\0"),
    "twice": sends(lambda sealed: sealed + sealed), "broken off": ends_early, "another wrap": heads(restante_wrap=V.b64(bytes(48))),
    "no wrap": heads(restante_wrap=None), "another sender": heads(restante_sender="eve@evil.test"),
    "another recipient": heads(restante_recipient="carol@b.test"), "compressed": heads(content_encoding="gzip"),
    "huge size": heads(restante_size="99999999999"), "no Restante": heads(restante=None), "redirect": redirects,
    "never ends": never_ends, "dribbles": dribbles,
}


@contextlib.contextmanager
def hosts(bed, tickets):
    """The zones and the link host of these tickets; yields the list of paths asked for that are no ticket's."""
    by_path, strange = {t.path: t for t in tickets}, []

    def handler(request):
        base, _, verb = request.path.rpartition("/")
        ticket = by_path.get(base)
        if request.path in by_path:
            request.answer(409)  # a body that broke off is asked for again from there
        elif ticket is None:
            strange.append(request.path)
            request.answer(404)
        elif verb == "claim":
            ticket.claims += 1
            ticket.answer(request, ticket)
        else:
            (ticket.acks if verb == "ack" else ticket.nacks).append(request.headers)
            request.answer(204)
    names = sorted({t.host for t in tickets})
    by_zone = {}
    for name in names:
        by_zone.setdefault(name.split(".")[1], []).append(name)
    records = {zone: mail_records(bed.x.address, f"v=restante1; h={','.join(hosts)}; r=1") +
               [f"{host.split('.')[0]} A {bed.x.address}" for host in hosts] for zone, hosts in by_zone.items()}
    with zones(bed, **records), LinkHost(bed.x, bed.pki.issue("hostile", names), handler):
        yield strange


def offer(bed, ticket):
    with Smtp(bed.x, to=bed.b.address) as smtp:
        smtp.send(f"restante+00@{ticket.sender.partition('@')[2]}", ["bob@b.test"], ticket.stub())


def test_all_answers(bed):
    """Each wrong answer on a host of its own, all at once, with an honest ticket beside them that comes through at once."""
    box, tickets = Box(bed.b, "bob"), {}
    for number, (name, answer) in enumerate(ANSWERS.items()):
        tickets[name] = Ticket(f"hostile{number // 8}", f"h{number}", answer)
    good = Ticket("honest", "h", honest, b"z" * 70 + b"\r\n" * 70_000)
    with configured(bed.b, pull_rate_min="100"), hosts(bed, [*tickets.values(), good]) as strange:
        for ticket in tickets.values():
            offer(bed, ticket)
        wait_for("each to be claimed", lambda: all(t.claims for t in tickets.values()), 20, 0.1)
        offer(bed, good)
        equal(strip_trace(box.one(timeout=10)), lf(good.raw), "the honest letter")
        wait_for("the honest ack", lambda: good.acks, 10, 0.05)
        equal(good.acks[0]["restante-digest"], V.b64(hashlib.sha256(good.raw).digest()), "digest in the ack")
        wait_for("the flipped and cut ones to be refused", lambda: all(
            t.nacks for name, t in tickets.items() if name.startswith("flipped") or name in ("truncated", "trailing octet")), 60, 0.2)
        for name, ticket in tickets.items():
            check(not ticket.acks, f"{name}: it was acked")
            if name.startswith("flipped"):
                equal(ticket.nacks[0].get("restante-reason"), "corrupt", f"{name}: reason")
                check(ticket.claims >= 2, f"{name}: refused after one claim")
        equal(tickets["no Restante"].claims, 1, "claims of the host that is not Restante")
        equal(strange, [], "paths asked for beside the tickets")
        equal(len(box.new()), 1, "letters")


def test_another_author(bed):
    """The opened letter's From is another than the link host confirmed: nacked as from-changed, nothing delivered."""
    box, ticket = Box(bed.b, "bob"), Ticket("author", "h", honest, author="boss@b.test")
    with hosts(bed, [ticket]):
        offer(bed, ticket)
        wait_for("a nack", lambda: ticket.nacks, 20, 0.1)
        equal(ticket.nacks[0].get("restante-reason"), "from-changed", "reason")
    equal(box.new(), [], "letters")


def test_smuggled_line_ends(bed):
    """A letter with a bare LF dot LF in it is not passed on to the MTA: no second message comes out of it."""
    box = Box(bed.b, "bob")
    ticket = Ticket("smuggle", "h", honest, b"one\r\n\n.\nMAIL FROM:<x@b.test>\nRCPT TO:<bob@b.test>\nDATA\nSubject: smuggled\n\nx\n.\r\n")
    with hosts(bed, [ticket]):
        offer(bed, ticket)
        wait_for("a word on it", lambda: ticket.nacks or ticket.acks, 20, 0.1)
        check(not [raw for raw in box.new() if raw.partition(b"\n\n")[0].count(b"Subject: smuggled")], "a message was smuggled")
        check(len(box.new()) <= 1, "letters")


def test_bad_certificates(bed):
    """Expired, self-signed, for another name: no request, hence no key, reaches the host."""
    kinds = {"expired": {"start": -9 * 86400, "end": -60}, "selfsigned": {"by": "self"}, "othername": {}}
    for kind, options in kinds.items():
        ticket, box = Ticket(kind, "h", honest), Box(bed.b, "bob")
        names = ["h.elsewhere.test"] if kind == "othername" else [ticket.host]
        records = mail_records(bed.x.address, f"v=restante1; h={ticket.host}; r=1") + [f"h A {bed.x.address}"]
        seen = []
        with zones(bed, **{kind: records}), LinkHost(bed.x, bed.pki.issue(f"bad-{kind}", names, **options),
                                                     lambda request, seen=seen: seen.append(request.path)) as host:
            offer(bed, ticket)
            wait_for(f"{kind}: connections", lambda: host.connections() >= 2, 20, 0.1)
            equal(seen, [], f"{kind}: requests")
        equal(box.new(), [], "letters")
