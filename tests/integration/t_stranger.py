"""Tried as the owner of a mailbox: a stranger writes, is seen in `attempts`, is allowed, and the waiting letter is there seconds
later; one who is denied hears of it or not; a shop gets an address for three letters, and the fourth waits."""

import re

from harness import Box, check, equal, letter, submit
from owner import attempt, clean, do, job_of, policy, rows
from restante import bare_id, configured, fetchd_log, ticket, wait_ticket

NEEDS = ("restante",)
BOB = "bob@b.test"
ALICE = "alice@a.test"


def write(bed, to=BOB, sender=ALICE, **options):
    raw = letter(sender, to, **options)
    submit(bed.a, sender, [to], raw)
    return raw


def test_a_stranger_is_allowed(bed):
    """known: the letter stays at a; one line at b; allow brings it, and the next one comes by itself."""
    with clean(bed.b, BOB), policy(bed.b, BOB, "known"):
        box = Box(bed.b, "bob")
        raws = [write(bed), write(bed)]
        seen = attempt(bed.b, BOB, ALICE, waiting=2)
        equal((seen["count"], seen["waiting"], seen["verified"], seen["link_host"], seen["reason"], seen["kind"]),
              (2, 2, "a.test", "pull.a.test", "stranger", "stub"), "the attempt")
        check(seen["client"] in (bed.a.address, bed.a.address6), f"client: {seen}")
        check("name" not in seen and "subject" not in seen, f"text of the sender's choice: {seen}")
        for raw in raws:
            wait_ticket(bed.a, raw, "held")
        equal(box.new(), [], "letters before anybody is allowed")
        text = do(bed.b, "attempts", BOB)
        for word in (ALICE, "a.test", "pull.a.test", "stranger"):
            check(word in text, f"{word} is not in {text}")
        check(seen["certificate_issuer"] if "certificate_issuer" in seen else
              attempt(bed.b, BOB, ALICE)["certificate_issuer"], "the certificate of the link host that was told")

        log = fetchd_log(bed.b)
        check("2 letters called for" in do(bed.b, "allow", BOB, ALICE), "allow")
        log.wait(r"from=<alice@a\.test> to=<bob@b\.test> status=allowed \(by user 0, 2 letters\)")
        box.wait(2)
        for raw in raws:
            wait_ticket(bed.a, raw, "delivered")
        equal(rows(bed.b, "attempts", BOB), [], "attempts")
        wait_ticket(bed.a, write(bed), "delivered")
        equal(job_of(bed.b, admission="allowed")["verified"], "a.test", "why it was taken")


def test_a_list_and_a_foreign_from_are_allowed(bed):
    """A mailing list by its List-Id, from the domain that its letters wait from; an address whose From is another domain's by its
    envelope."""
    with clean(bed.b, BOB), policy(bed.b, BOB, "known"):
        raw = write(bed, fields=["List-Id: Developers <dev.lists.elsewhere.test>"])
        equal(attempt(bed.b, BOB, ALICE)["list_id"], "dev.lists.elsewhere.test", "the list")
        done = rows(bed.b, "allow", BOB, "<dev.lists.elsewhere.test>")[0]
        equal((done["kind"], done["domain"], done["letters"]), ("list", "a.test", 1), "the list's entry")
        wait_ticket(bed.a, raw, "delivered")
        raw = letter("dave@elsewhere.test", BOB)
        submit(bed.a, "dave@a.test", [BOB], raw)
        seen = attempt(bed.b, BOB, "dave@a.test")
        equal((seen["aligned"], seen["from"], seen["reason"]), ("no", "dave@elsewhere.test", "unaligned"), "From of another domain")
        done = rows(bed.b, "allow", BOB, "dave@a.test")[0]
        equal((done["kind"], done["letters"]), ("envelope", 1), "the envelope's entry")
        wait_ticket(bed.a, raw, "delivered")


def test_denied_in_silence(bed):
    """deny drops what waits, and what comes; the sender hears nothing."""
    with clean(bed.b, BOB), policy(bed.b, BOB, "known"):
        box = Box(bed.b, "bob")
        raw = write(bed)
        attempt(bed.b, BOB, ALICE)
        check("1 letter dropped in silence" in do(bed.b, "deny", BOB, "a.test"), "deny")
        equal(rows(bed.b, "attempts", BOB), [], "attempts")
        check(ticket(bed.a, raw)["state"] in ("waiting", "held"), "the ticket's state")
        equal(box.new(), [], "letters")


def test_denied_and_told(bed):
    """With --denial told the sender gets his one report."""
    with clean(bed.b, BOB), policy(bed.b, BOB, "known", "--denial", "told"):
        sender = Box(bed.a, "alice")
        raw = write(bed)
        attempt(bed.b, BOB, ALICE)
        check("1 letter refused" in do(bed.b, "deny", BOB, ALICE), "deny")
        equal(wait_ticket(bed.a, raw, "refused")["reason"], "denied", "the reason")
        check(bare_id(raw).encode() in sender.one(), "the report names another letter")


def test_forgotten(bed):
    """forget drops what waits; the same sender is a stranger again."""
    with clean(bed.b, BOB), policy(bed.b, BOB, "known"):
        do(bed.b, "allow", BOB, ALICE)
        wait_ticket(bed.a, write(bed), "delivered")
        do(bed.b, "forget", BOB, ALICE)
        write(bed)
        attempt(bed.b, BOB, ALICE)
        equal(rows(bed.b, "forget", BOB, ALICE)[0]["letters"], 1, "letters dropped")


def test_three_letters_for_a_shop(bed):
    """A token for three letters: the fourth waits as a contact attempt; a revoked token admits nobody."""
    with clean(bed.b, BOB), policy(bed.b, BOB, "known"):
        address = do(bed.b, "token", "add", BOB, "--letters", "3", "--note", "shop").strip()
        token = address.partition("+")[2].partition("@")[0]
        box = Box(bed.b, "bob")
        for _ in range(3):
            wait_ticket(bed.a, write(bed, address), "delivered")
        equal(len(box.wait(3)), 3, "letters")
        mine = next(row for row in rows(bed.b, "token", "list", BOB) if row["token"] == token)
        equal((mine["used"], mine["letters"], mine["state"]), (3, 3, "used up"), "the token")
        write(bed, address)
        equal(attempt(bed.b, BOB, ALICE)["reason"], "stranger", "the fourth")
        equal(len(box.new()), 3, "letters")

        other = do(bed.b, "token", "add", BOB).strip()
        wait_ticket(bed.a, write(bed, other), "delivered")
        do(bed.b, "token", "revoke", BOB, other.partition("+")[2].partition("@")[0])
        write(bed, other)
        attempt(bed.b, BOB, ALICE, waiting=2)
        created = [row["created"] for row in rows(bed.b, "jobs")]
        equal(created, sorted(created, reverse=True), "jobs, newest first")
        equal([row["created"] for row in rows(bed.b, "jobs", "--limit", "2")], created[:2], "the newest two")


def test_what_a_sender_chose_is_shown_escaped(bed):
    """Name and subject are kept only if configured; control characters and those that turn text cannot mislead."""
    with configured(bed.b, attempts_text="yes"), configured(bed.a, stub_subject="yes"), clean(bed.b, BOB), \
            policy(bed.b, BOB, "known"):
        raw = letter(subject="=?utf-8?Q?moc=2Eknab_=E2=80=AE=1B=5B2J?=").replace(
            b"From: alice@a.test", "From: \u202eboB\u2066 <alice@a.test>".encode(), 1)
        submit(bed.a, ALICE, [BOB], raw, mail="SMTPUTF8 BODY=8BITMIME")
        seen = attempt(bed.b, BOB, ALICE)
        check("boB" in seen["name"] and seen.get("subject"), f"name and subject: {seen}")
        for text in (do(bed.b, "attempts", BOB), do(bed.b, "attempts", BOB, "--json")):
            check(not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]", text),
                  f"it reaches the terminal: {text!r}")
        text = do(bed.b, "attempts", BOB)
        for word in ("\\u{202E}boB", "moc.knab \\u{202E}\\u{001B}[2J"):
            check(word in text, f"{word} is not in {text}")
