"""restantectl explain: a message or an envelope goes through every check, each says what it finds, and nothing is sent or kept."""

import json
import os

from harness import Box, check, equal, letter, submit
from owner import attempt, clean, ctl, do, policy, refused, rows, said
from restante import caught, configured, status

NEEDS = ("restante",)
BOB = "bob@b.test"


def explain(site, *arguments):
    """The checks as (verdict, reason) by name, and the exit status."""
    done = ctl(site, "explain", *arguments, "--json")
    check(done.returncode in (0, 2), f"explain {arguments}: {said(done)}")
    found = json.loads(done.stdout)["explain"]
    equal(found[-1]["check"], "end", "the last line")
    return {row["check"]: (row["verdict"], row.get("reason", "")) for row in found}, done.returncode


def envelope(bed, client, *more, sender="alice@a.test", to=BOB):
    return explain(bed.b, "--from", sender, "--to", to, "--client", client, *more)


def test_an_envelope(bed):
    """A stub from its own site, from elsewhere, of another link host; ordinary mail; for people each check with its verdict."""
    before = status(bed.b), rows(bed.b, "attempts", "--all")
    found, code = envelope(bed, bed.a.address, "--stub", "pull.a.test", "--helo", "mx.a.test")
    equal((found["end"], code), (("admit", "open"), 0), f"from a: {found}")
    equal(found["spf"][0], "next", "SPF")
    found, code = envelope(bed, bed.x.address, "--stub", "pull.a.test")
    equal((found["spf"], code), (("refuse", "spf-fail"), 2), f"from elsewhere: {found}")
    equal(found["end"][0], "refuse", "the end")
    found, code = envelope(bed, bed.a.address, "--stub", "pull.x.test")
    equal((found["end"], code), (("refuse", "not-designated"), 2), f"another link host: {found}")
    found, code = envelope(bed, bed.c.address, sender="carol@c.test")
    equal((found["end"], code), (("admit", "legacy-accept"), 0), f"ordinary mail: {found}")
    text = do(bed.b, "explain", "--from", "alice@a.test", "--to", BOB, "--client", bed.a.address, "--stub", "pull.a.test")
    for word in ("CHECK", "spf", "admit", "open", "end"):
        check(word in text, f"{word} is not in {text}")
    now = status(bed.b), rows(bed.b, "attempts", "--all")
    for one in (before[0], now[0]):
        one.pop("now"), one.pop("disk_free_bytes"), one.pop("work_waiting"), one.pop("lookups_waiting")
    equal(now, before, "what is kept")


def test_what_the_owner_said(bed):
    """The same envelope, as rules and policies change."""
    arguments = (bed.a.address, "--stub", "pull.a.test")
    with clean(bed.b, BOB), policy(bed.b, BOB, "known"):
        equal(envelope(bed, *arguments)[0]["end"], ("wait", "stranger"), "known")
        do(bed.b, "allow", BOB, "a.test")
        equal(envelope(bed, *arguments)[0]["end"], ("admit", "allowed"), "allowed")
        equal(envelope(bed, *arguments, "--header-from", "bob@b.test")[0]["end"], ("wait", "unaligned"), "From of another domain")
        do(bed.b, "deny", BOB, "alice@a.test")
        found, code = envelope(bed, *arguments)
        equal((found["end"], code), (("deny", "denied"), 2), "denied")
        equal(envelope(bed, *arguments, to="postmaster@b.test")[0]["end"], ("admit", "role"), "postmaster")
        token = do(bed.b, "token", "add", BOB, "--letters", "1").strip()
        equal(envelope(bed, *arguments, sender="dave@a.test", to=token)[0]["end"], ("admit", "allowed"), "before the token")
        do(bed.b, "forget", BOB, "a.test")
        for _ in range(2):  # it uses nothing up
            equal(envelope(bed, *arguments, sender="dave@a.test", to=token)[0]["end"], ("admit", "token"), "token")


def test_a_file(bed):
    """A real stub and a letter as they lie in a mailbox; from standard input too."""
    with caught(bed, "b.test") as sink:
        submit(bed.a, "alice@a.test", [BOB], letter())
        mail = sink.one()
    path = f"{bed.b.folder}/explain.eml"
    head = (f"Return-Path: <{mail.sender}>\nDelivered-To: {BOB}\nReceived: from mx.a.test (mx.a.test [{bed.a.address}])\n"
            "\tby mx.b.test (Postfix) with ESMTPS id 1; Sat, 21 Nov 2026 10:00:00 +0000\n").encode()
    try:
        with open(path, "wb") as f:
            f.write(head + mail.raw.replace(b"\r\n", b"\n"))
        found, code = explain(bed.b, path)
        equal((found["end"], code), (("admit", "open"), 0), "a stub")
        equal(explain(bed.b, path, "--client", bed.x.address)[0]["end"], ("refuse", "spf-fail"), "from elsewhere")
        with open(path, "wb") as f:
            f.write(head.replace(b"restante+", b"alice") + letter().replace(b"\r\n", b"\n"))
        equal(explain(bed.b, path, "--from", "alice@a.test")[0]["end"], ("admit", "legacy-accept"), "a letter")
        with open(path, "wb") as f:
            f.write(head + b"Restante-Stub: v=1; nonsense\n\nhello\n")
        equal(explain(bed.b, path)[0]["end"], ("refuse", "form"), "a malformed stub")
    finally:
        os.unlink(path)


def test_a_letter_from_a_mailbox(bed):
    """A letter that was called for is judged as the stub in whose place it came; one that was kept, as it came."""
    with clean(bed.b, BOB), policy(bed.b, BOB, "known", "--legacy", "attempt"):
        box = Box(bed.b, "bob")
        do(bed.b, "allow", BOB, "alice@a.test")
        submit(bed.a, "alice@a.test", [BOB], letter())
        box.one()
        path = bed.b.mta.letters("bob")[-1]
        found, code = explain(bed.b, path)
        equal((found["designation"][0], found["rdns"][0], found["end"], code), ("next", "next", ("admit", "allowed"), 0), found)
        do(bed.b, "forget", BOB, "alice@a.test")
        equal(explain(bed.b, path)[0]["end"], ("wait", "stranger"), "forgotten")

        submit(bed.c, "carol@c.test", [BOB], letter("carol@c.test"))
        attempt(bed.b, BOB, "carol@c.test")
        box = Box(bed.b, "bob")
        do(bed.b, "allow", BOB, "carol@c.test")
        box.one()
        equal(explain(bed.b, bed.b.mta.letters("bob")[-1])[0]["end"], ("admit", "allowed"), "ordinary mail")


def test_bad_input(bed):
    """What cannot be judged is told; a user's question about another's mailbox is refused."""
    for arguments, why in ((("--to", BOB, "--client", "192.0.2.1"), "--from"), (("--from", "a@a.test", "--client", "192.0.2.1"), "--to"),
                           (("--from", "a@a.test", "--to", BOB), "--client"), (("/nonexistent",), "No such file"),
                           (("--from", "a@a.test", "--to", "bob@elsewhere.test", "--client", "192.0.2.1"), "not in local_domains"),
                           (("--from", "a b", "--to", BOB, "--client", "192.0.2.1"), "no address"),
                           (("--from", "a@a.test", "--to", BOB, "--client", "mx.a.test"), "no IP address"),
                           (("--from", "a@a.test", "--to", BOB, "--client", "192.0.2.1", "--stub", "x y"), "no stub")):
        check(why in refused(bed.b, "explain", *arguments), f"{arguments}")
    with configured(bed.b, system_users_domain="b.test"):
        own = ("explain", "--from", "alice@a.test", "--client", bed.a.address, "--stub", "pull.a.test", "--to")
        refused(bed.b, *own, BOB, user="news", status=77)
        do(bed.b, *own, "news@b.test", user="news")
