"""Giving up: one warning when a letter waits for long, then one report at the end of its time that says how far the letter got, as
far as it is known; and the time that a letter may ask for itself."""

import contextlib
import re
import time

from far import D, H, far, gone
from harness import Box, Refused, check, equal, letter, submit, wait_for
from owner import clean, policy
from puller import end
from restante import answered_at_rcpt, bare_id, configured, dsn, master_cf, tickets, wait_ticket

NEEDS = ("restante",)
TIMEOUT = 120


def about(box, offer, count=1, timeout=15):
    """The reports about a letter, oldest first: (raw, message fields, fields of its recipient)."""
    mid = bare_id(offer if isinstance(offer, bytes) else offer.raw).encode()
    if count:
        box.wait(count, containing=mid, timeout=timeout)
    found = []
    for raw in box.new(mid):
        message, recipients = dsn(raw)
        equal(len(recipients), 1, "recipients in a report")
        found.append((raw, message, recipients[0]))
    equal(len(found), count, f"reports: {[(one[2].get('action'), one[2].get('status')) for one in found]}")
    return sorted(found, key=lambda one: one[2]["action"])  # delayed before failed and relayed


def forgotten(bed, offer):
    wait_for("the ticket to be forgotten", lambda: not tickets(bed.a, message_id=bare_id(offer.raw)), 20, 0.2)


@contextlib.contextmanager
def answered(bed, domain, answer):
    """a's own listener for stubs answers recipients of the domain so."""
    with master_cf(bed.a, "127.0.0.1:10026", "-o { smtpd_recipient_restrictions = check_recipient_access inline:{ { "
                   f"{domain.name} = {answer} }} }} }}"):
        bed.a.daemons.restart("fetchd")
        yield
    bed.a.daemons.restart("fetchd")


# --- the warning

def test_warned_once(bed):
    """After four hours: Action: delayed, until when, the header alone; with NOTIFY=DELAY too; not with NEVER, not without DELAY; and
    never again."""
    box = Box(bed.a, "alice")
    with far(bed) as domain:
        plain = domain.send(letter(to=f"bob@{domain.name}", body=b"the body\r\n"), f"bob@{domain.name}", mail="RET=FULL ENVID=E+2B1",
                            rcpt=f"ORCPT=rfc822;b+2Bob@{domain.name}")
        asked = domain.send(rcpt="NOTIFY=DELAY")
        silent = [domain.send(rcpt=f"NOTIFY={word}") for word in ("NEVER", "FAILURE", "SUCCESS")]
        domain.clock(int(3.9 * H))
        for one in (plain, asked, *silent):
            about(box, one, 0)
        domain.clock(4 * H + 10)
        (raw, message, recipient), = about(box, plain)
        equal(recipient["action"], "delayed", "Action")
        equal(recipient["status"], "4.4.0", "Status")
        expires = time.strftime("%d %b %Y", time.gmtime(int(plain.tags["x"])))
        check(expires.lstrip("0") in recipient["will-retry-until"].replace(" 0", " "), f"Will-Retry-Until: {recipient}")
        equal(message["original-envelope-id"], "E+1", "Original-Envelope-Id")
        equal(recipient["original-recipient"].replace(" ", ""), f"rfc822;b+ob@{domain.name}", "Original-Recipient")
        for word in (b"Return-Path: <>", b"Auto-Submitted: auto-", b"has not called for it", b"Subject: A letter"):
            check(word in raw, f"{word} is not in {raw}")
        check(b"the body" not in raw, "the letter went along")
        about(box, asked)
        domain.clock(9 * D)
        for offer, count in ((plain, 1), (asked, 1), *((one, 0) for one in silent)):
            about(box, offer, count)


def test_what_the_warning_says(bed):
    """Held as a stranger's, asked for a proof, collected and not confirmed: each in its own words; not while it is leased."""
    box = Box(bed.a, "alice")
    with far(bed) as domain:
        held, challenged, collected, leased = (domain.send() for _ in range(4))
        with held.client() as client:
            end(held.ask(client, "POST", "status", status="held"), 204)
            end(challenged.ask(client, "POST", "status", status="challenge", challenge=f"https://pull.{domain.name}/x"), 204)
            end(collected.claim(client), 200)
        box.one(containing=b"restante-challenge.")
        box = Box(bed.a, "alice")
        domain.clock(4 * H - 60)
        with leased.client() as client:
            end(leased.claim(client), 200)
        domain.clock(4 * H + 10)
        for offer, status, words in ((held, "4.7.0", b"until it is wanted"), (challenged, "4.7.0", b"a proof that you are no machine"),
                                     (collected, "4.4.2", b"not confirmed yet")):
            (raw, _, recipient), = about(box, offer)
            equal((recipient["action"], recipient["status"]), ("delayed", status), "report")
            check(words in b" ".join(raw.split()), f"{words} is not in {raw}")
        about(box, leased, 0)
        domain.clock(5 * H + 10)
        (raw, _, _), = about(box, leased)
        check(b"Collected: " in raw, f"when it was collected: {raw}")


def test_a_stub_that_never_leaves(bed):
    """a's own Postfix defers the stub for good: the warning comes all the same, with its words, and so does the end."""
    box = Box(bed.a, "alice")
    with far(bed) as domain, answered(bed, domain, "450 4.7.1 not these stubs"):
        raw = letter(to=f"bob@{domain.name}")
        submit(bed.a, "alice@a.test", [f"bob@{domain.name}"], raw)
        domain.log.wait(r"status=stub-deferred")
        domain.clock(4 * H + 10)
        (found, _, recipient), = about(box, raw)
        equal((recipient["action"], recipient["status"]), ("delayed", "4.4.1"), "warning")
        check("not these stubs" in recipient["diagnostic-code"], f"diagnostic: {recipient}")
        domain.clock(30 * D + 60)
        _, (found, _, recipient) = about(box, raw, 2)
        equal((recipient["action"], recipient["status"]), ("failed", "5.4.7"), "report")
        check("not these stubs" in recipient["diagnostic-code"] and b"could not be told" in found, f"report: {found}")


def test_an_mta_that_was_away(bed):
    """a's own Postfix takes no report for longer than ended tickets are remembered: alice hears all the same, once, and then the
    ticket is forgotten."""
    box = Box(bed.a, "alice")
    with configured(bed.a, tombstone="1m", outbox_retry_min="1s", outbox_retry_max="2s"), far(bed) as domain:
        offer, silent = domain.send(), domain.send(rcpt="NOTIFY=NEVER")
        with answered_at_rcpt(bed.a, "alice@a.test", "450 4.2.0 later"):
            with offer.client() as client:
                end(offer.nack(client), 204)
                end(silent.nack(client), 204)
            domain.clock(D)
            forgotten(bed, silent)
            domain.log.wait(r"status=notice-deferred \(450")
            equal(domain.ticket(offer)["state"], "refused", "state")
        (_, _, recipient), = about(box, offer, timeout=30)
        equal(recipient["action"], "failed", "report")
        domain.clock(2 * D)
        forgotten(bed, offer)


# --- the end

def test_how_it_ended(bed):
    """At the end of its time one report a letter: never called for, held, challenged, collected and not confirmed. The whole letter
    with RET=FULL, else its header. A late claim is answered 410."""
    with configured(bed.a, delay_warning="0"), far(bed) as domain:
        box, body = Box(bed.a, "alice"), b"the body\r\n"
        full = domain.send(letter(to=f"full@{domain.name}", body=body), f"full@{domain.name}", mail="RET=FULL")
        called, held, challenged, collected = (domain.send(letter(to=f"{word}@{domain.name}", body=body), f"{word}@{domain.name}")
                                               for word in ("called", "held", "challenged", "collected"))
        silent = domain.send(rcpt="NOTIFY=NEVER")
        with held.client() as client:
            end(held.ask(client, "POST", "status", status="held"), 204)
            end(challenged.ask(client, "POST", "status", status="challenge", challenge=f"https://pull.{domain.name}/x"), 204)
            end(collected.claim(client), 200)
        box.one(containing=b"restante-challenge.")
        box = Box(bed.a, "alice")
        domain.clock(30 * D + 60)
        for offer, action, status, words in (
                (full, "failed", "5.4.7", b"never called for it"), (called, "failed", "5.4.7", b"never called for it"),
                (held, "failed", "5.4.7", b"nobody there asked for it"), (challenged, "failed", "5.4.7", b"did not get in time"),
                (collected, "relayed", "2.0.0", b"did not confirm that it arrived")):
            (raw, _, recipient), = about(box, offer)
            equal((recipient["action"], recipient["status"]), (action, status), f"report of {offer.recipient}")
            check(words in b" ".join(raw.split()), f"{words} is not in {raw}")
            equal(body.strip() in raw, offer is full, "the letter goes along")
            check(b"Subject: A letter" in raw, "its header")
            equal(b"not delivered" in raw, action == "failed", '"not delivered"')
        about(box, silent, 0)
        gone(full, "expired")
        gone(collected, "unconfirmed")


def test_a_mailbox_that_never_admits(bed):
    """A stranger to bob, who admits nobody else: the letter waits at b's contact attempts until its time is over, and alice gets one
    clear notice, which does not say what bob's rule is."""
    box = Box(bed.a, "alice")
    with configured(bed.a, delay_warning="0"), clean(bed.b, "bob@b.test"), policy(bed.b, "bob@b.test", "known"):
        raw = letter()
        try:
            submit(bed.a, "alice@a.test", ["bob@b.test"], raw)
            wait_ticket(bed.a, raw, "held")
            for seconds in (8 * D, 16 * D, 30 * D + 60):
                for site in (bed.a, bed.b):
                    site.daemons.shift_clock(seconds)
                time.sleep(1.2)
            wait_ticket(bed.a, raw, "expired")
            (found, _, recipient), = about(box, raw)
            equal((recipient["action"], recipient["status"]), ("failed", "5.4.7"), "report")
            check(b"nobody there asked for it in time" in b" ".join(found.split()), f"report: {found}")
            check(b"known" not in found.replace(b"did not know", b"").replace(b"unknown", b""), f"the rule is told: {found}")
        finally:
            for site in (bed.a, bed.b):
                site.daemons.shift_clock(0)
            time.sleep(1.2)


# --- the time that a letter asks for

def test_a_letters_own_time(bed):
    """Restante-Retention: 2d is kept for two days, its stub says so, the field stays in the letter."""
    box = Box(bed.a, "alice")
    with configured(bed.a, delay_warning="0"), far(bed) as domain:
        offer = domain.send(letter(to=f"bob@{domain.name}", fields=("Restante-Retention: 2d",)), f"bob@{domain.name}")
        usual = domain.send()
        check(int(usual.tags["x"]) - int(offer.tags["x"]) in range(28 * D, 28 * D + 10), "expiry in the stubs")
        domain.clock(2 * D - 60)
        with offer.client() as client:
            end(offer.head(client), 204)
        domain.clock(2 * D + 60)
        (raw, _, recipient), = about(box, offer)
        equal(recipient["action"], "failed", "Action")
        check(b"Restante-Retention: 2d" in raw, "the letter's header")
        equal(domain.ticket(usual)["state"], "waiting", "the other letter")


def test_times_that_cannot_be_had(bed):
    """Malformed, out of bounds, or said twice: 550 5.6.0 with the bounds, and no ticket; to a domain that takes no stubs it means
    nothing."""
    with configured(bed.a, min_retention="1h", max_retention="7d", retention="7d"), far(bed) as domain:
        for fields in (["tomorrow"], ["8d"], ["59m"], ["0"], ["-1d"], ["1d", "1d"], ["7d (please)"], [""]):
            raw = letter(to=f"bob@{domain.name}", fields=[f"Restante-Retention: {value}" for value in fields])
            try:
                submit(bed.a, "alice@a.test", [f"bob@{domain.name}"], raw)
            except Refused as e:
                equal(e.code, 550, f"answer to {fields}")
                check(re.match(r"5\.6\.0 .*from 1h to (7d|1w)", e.text), f"answer to {fields}: {e.text}")
            else:
                check(False, f"{fields} was taken")
            equal(tickets(bed.a, message_id=bare_id(raw)), [], "tickets")
        domain.designate("r=0")
        raw = letter(to=f"bob@{domain.name}", fields=["Restante-Retention: tomorrow"])
        submit(bed.a, "alice@a.test", [f"bob@{domain.name}"], raw)
        wait_for("the letter", lambda: any(raw in mail.raw for mail in domain.sink.mails), 20, 0.05)
