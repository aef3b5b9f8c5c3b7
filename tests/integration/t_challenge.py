"""A recipient whom a sender does not know asks him to prove himself: the sender is told once, of a page on the recipient's own
link host alone; he answers with work or to a question, and what waits arrives, as do all letters after it."""

import base64
import hashlib
import json
import re
import time

from evil import Evil
from harness import Box, check, equal, letter, message_id, submit, wait_for
from http2 import Client, tls_socket
from puller import end, waiting
from restante import configured, fetchd_log, ticket, wait_ticket

NEEDS = ("restante",)
EASY = "500"  # hashes


def notices(box, raw):
    """The messages about a letter's challenge."""
    return [found for found in box.new(message_id(raw).encode()) if b"restante-challenge." in found]


def link(notice):
    """The one link in the message."""
    found = re.findall(rb"https?://\S+", notice)
    equal(len(found), 1, "links in the message")
    check(re.search(rb"\n\n" + re.escape(found[0]) + rb"\n\n", notice), "the link does not stand alone on its line")
    return found[0].decode()


# --- the sender's side, with a puller of the test's own

def test_who_is_told(bed):
    """A URL on a link host of the recipient's domain: one message in the sender's mailbox, with the fields of RFC 3834 and that
    link alone."""
    with waiting(bed, letter(subject="About the boat")) as offer, offer.client() as client:
        box = Box(bed.a, "alice")
        url = f"https://pull.{offer.recipient.partition('@')[2]}/prove/abc-123"
        end(offer.ask(client, "POST", "status", status="challenge", challenge=url), 204)
        equal(offer.state(), "challenged", "state")
        notice = box.one(containing=message_id(offer.raw).encode())
        equal(link(notice), url, "link")
        for wanted in (b"Return-Path: <>", b"Auto-Submitted: auto-generated", b"From: Mail Delivery System <MAILER-DAEMON@a.test>",
                       b"To: alice@a.test", b"References: " + message_id(offer.raw).encode(), b"About the boat",
                       b"Recipient: " + offer.recipient.encode()):
            check(wanted in notice, f"{wanted} is not in {notice}")
        end(offer.ask(client, "POST", "status", status="challenge", challenge=url), 204)
        end(offer.ask(client, "POST", "status", status="challenge", challenge=url + "4"), 204)
        end(offer.claim(client), 200)
        end(offer.ack(client), 204)
        wait_ticket(bed.a, offer.raw, "delivered", offer.recipient)
        equal(len(notices(box, offer.raw)), 1, "messages about one letter")


def test_told_once_in_a_period(bed):
    """Of several letters to one recipient the sender is told of one; of a later one when challenge_period is over."""
    with waiting(bed, letter(), letter(), letter()) as (one, two, three):
        box, url = Box(bed.a, "alice"), f"https://pull.{one.recipient.partition('@')[2]}/"
        try:
            with one.client() as client:
                end(one.ask(client, "POST", "status", status="challenge", challenge=url + "1"), 204)
                box.one(containing=message_id(one.raw).encode())
                end(two.ask(client, "POST", "status", status="challenge", challenge=url + "2"), 204)
                bed.a.daemons.shift_clock(8 * 86400)
                time.sleep(1.2)  # the daemons look once a second
                end(three.ask(client, "POST", "status", status="challenge", challenge=url + "3"), 204)
                wait_for("a message about the third", lambda: notices(box, three.raw), 20, 0.1)
                equal((len(notices(box, three.raw)), notices(box, two.raw)), (1, []), "messages about the third and the second")
                for offer in (one, two, three):
                    end(offer.claim(client), 200)
                    end(offer.ack(client), 204)
        finally:
            bed.a.daemons.shift_clock(0)


def test_links_elsewhere_are_not_shown(bed):
    """A URL on any other host, or that hides its host: the ticket is held, nobody is told."""
    with waiting(bed, letter()) as offer, offer.client() as client:
        box, domain = Box(bed.a, "alice"), offer.recipient.partition("@")[2]
        for url in ("https://evil.test/x", f"https://pull.{domain}:8443/x", "https://pull.a.test/x", f"https://{bed.x.address}/x",
                    f"https://pull.{domain}@evil.test/", f"https://user@pull.{domain}/", f"https://pull.{domain}.evil.test/",
                    f"https://evil.test\\@pull.{domain}/", f"https://{domain}/x"):
            end(offer.ask(client, "POST", "status", status="challenge", challenge=url), 204, url)
            equal(offer.state(), "held", f"state after {url}")
        for url in (f"http://pull.{domain}/x", f"https://pull.{domain}/a b", "javascript:alert(1)", f"//pull.{domain}/"):
            end(offer.ask(client, "POST", "status", status="challenge", challenge=url), 400, url)
        end(offer.claim(client), 200)
        end(offer.ack(client), 204)
        equal(box.new(message_id(offer.raw).encode()), [], "messages")


def test_bulk_is_never_challenged(bed):
    """Lists, bulk mail, automatic mail, and who wants no notifications: challenged, but nobody is told."""
    fields = (("List-Id: Dev <dev.lists.a.test>",), ("Precedence: bulk",), ("Precedence: list",), ("Precedence: junk",),
              ("Auto-Submitted: auto-generated",), ("List-Unsubscribe: <mailto:x@a.test>",))
    letters = [letter(fields=those) for those in fields]
    with waiting(bed, *letters, letter(fields=("Auto-Submitted: no", "Precedence: normal"))) as offers:
        box = Box(bed.a, "alice")
        with offers[0].client() as client:
            for offer in offers:
                url = f"https://pull.{offer.recipient.partition('@')[2]}/{id(offer)}"
                end(offer.ask(client, "POST", "status", status="challenge", challenge=url), 204)
                equal(offer.state(), "challenged", "state")
            box.one(containing=message_id(offers[-1].raw).encode())
            for offer in offers:
                end(offer.claim(client), 200)
                end(offer.ack(client), 204)
        for offer in offers[:-1]:
            equal(box.new(message_id(offer.raw).encode()), [], "messages about bulk mail")


# --- the recipient's side, with a link host of the test's own

def answering(*statuses):
    """Answers a ticket's requests so, one after another, the last for ever."""
    rest = list(statuses)

    def answer(request, _):
        request.answer(rest.pop(0) if len(rest) > 1 else rest[0])
    return answer


def words(ticket):
    return [seen.get("restante-status") for seen in ticket.statuses]


def test_held(bed):
    """A stranger's letter to a mailbox for people it knows: its site is told `held` once, again when the stub is repeated, and
    nothing is called for."""
    with configured(bed.b, admission="known"), Evil(bed) as evil:
        ticket = evil.ticket(on_status=answering(503, 404, 204)).offer()
        wait_for("three calls", lambda: len(ticket.statuses) >= 3, 30, 0.05)
        ticket.offer()
        wait_for("a fourth", lambda: len(ticket.statuses) >= 4, 30, 0.05)
        other = evil.ticket(on_status=answering(409)).offer()
        wait_for("a call", lambda: other.statuses, 30, 0.05)
        gone = evil.ticket(on_status=answering(410)).offer()
        gone.wait_job("failed")
        equal((words(ticket), words(other), words(gone)), (["held"] * 4, ["held"], ["held"]), "what was told")
        check(all("restante-challenge" not in seen for seen in ticket.statuses), "held with a challenge")
        equal(ticket.claims + other.claims + gone.claims, [], "claims")
        equal((ticket.job()["state"], other.job()["state"]), ("held", "held"), "jobs")


def test_held_ends_with_its_ticket(bed):
    """A stub's time runs out while its letter is held: the job ends, without another word to the sender."""
    with configured(bed.b, admission="known"), Evil(bed) as evil:
        ticket = evil.ticket(expires_in=6).offer()
        wait_for("a call", lambda: ticket.statuses, 30, 0.05)
        ticket.wait_job("failed")
        equal((words(ticket), ticket.claims, ticket.nacks), (["held"], [], []), "what was asked")


def test_young_domains_are_not_challenged(bed):
    """Of an organisation that this site has not seen for long: held, no challenge."""
    with configured(bed.b, admission="challenge", first_seen_min="1d"), Evil(bed) as evil:
        ticket = evil.ticket().offer()
        wait_for("a call", lambda: ticket.statuses, 30, 0.05)
        equal(words(ticket), ["held"], "what was told")


# --- the whole way

class Page:
    """A challenge's URL at b, asked by somebody at x."""

    def __init__(self, bed, url):
        host = re.fullmatch(r"https://pull\.b\.test(/restante/challenge/1/[A-Za-z0-9_-]+)", url)
        check(host, f"{url} is not on b's link host")
        self.bed, self.path = bed, host.group(1)

    def ask(self, method="GET", verb="", body=None, headers=()):
        with Client(tls_socket(self.bed.x, self.bed.b.address, "pull.b.test"), "pull.b.test") as client:
            answer = client.request(method, self.path + verb, dict(headers), body)
        equal(answer.error, None, "error")
        equal((answer.headers.get("cache-control"), answer.headers.get("restante")), ("no-store", "1"), "fields of all answers")
        return answer

    def challenge(self):
        answer = end(self.ask(verb="/challenge"), 200)
        equal(answer.headers["content-type"], "application/json", "type")
        return json.loads(answer.body)

    def answer(self, value, *, form=False):
        """POSTs work (a dict: the payload) or words. Returns (status, JSON)."""
        name, text = ("altcha", payload(value)) if isinstance(value, dict) else ("answer", value)
        if form:
            from urllib.parse import urlencode
            body, kind = urlencode({name: text}).encode(), "application/x-www-form-urlencoded"
        else:
            body, kind = json.dumps({name: text}).encode(), "application/json"
        got = self.ask("POST", "/answer", body, {"content-type": kind})
        return got.status, json.loads(got.body)


def payload(work):
    return base64.b64encode(json.dumps(work).encode()).decode()


def solved(challenge):
    """As the widget does it."""
    for number in range(challenge["maxnumber"] + 1):
        if hashlib.sha256(f"{challenge['salt']}{number}".encode()).hexdigest() == challenge["challenge"]:
            return {name: challenge[name] for name in ("algorithm", "challenge", "salt", "signature")} | \
                {"number": number, "took": 5}
    raise AssertionError("no number")


def challenged(bed, sender, to="bob@b.test", **options):
    """A letter that b challenges. Returns it and the page that its sender is told of."""
    box, raw = Box(bed.a, sender.partition("@")[0]), letter(sender, to, **options)
    submit(bed.a, sender, [to], raw)
    wait_ticket(bed.a, raw, "challenged")
    notice = wait_for("the message", lambda: notices(box, raw), 20, 0.1)
    equal(len(notice), 1, "messages")
    return raw, Page(bed, link(notice[0]))


def test_work(bed):
    """Alice writes to bob, is told of one link on b's link host, does the work, and the letter arrives; the next one without a
    challenge. Letters while it stands make no second message. Everything wrong is refused and changes nothing."""
    with configured(bed.b, admission="challenge", challenge_work=EASY, correspondents="no"):
        log, arrived = fetchd_log(bed.b), Box(bed.b, "bob")
        raw, page = challenged(bed, "alice@a.test")
        alice, second = Box(bed.a, "alice"), letter()
        submit(bed.a, "alice@a.test", ["bob@b.test"], second)
        wait_ticket(bed.a, second, "challenged")
        carol_raw, carol_page = challenged(bed, "carol@a.test")

        end(page.ask("HEAD"), 200)
        check(b"/challenge" in end(page.ask(), 200).body, "words for people")
        challenge = page.challenge()
        equal(sorted(challenge), ["algorithm", "challenge", "maxnumber", "salt", "signature"], "members")
        equal((challenge["algorithm"], challenge["maxnumber"]), ("SHA-256", int(EASY)), "algorithm and maxnumber")
        check(re.fullmatch(r"[0-9a-f]{32}\?expires=[0-9]+&", challenge["salt"]), f"salt {challenge['salt']}")
        work = solved(challenge)
        moved = {**work, "salt": challenge["salt"] + str(work["number"])[0], "number": int(str(work["number"])[1:] or "0")}
        for what, wrong, status, error in (
                ("number", {**work, "number": work["number"] + 1}, 422, "answer"),
                ("signature", {**work, "signature": "0" * 64}, 403, "forbidden"),
                ("longer life", {**work, "salt": challenge["salt"].replace("expires=1", "expires=2")}, 422, "answer"),
                ("digits moved into the salt", moved, 422, "answer"),
                ("somebody else's", solved(carol_page.challenge()), 403, "forbidden"),
                ("algorithm", {**work, "algorithm": "SHA-1"}, 400, "syntax"),
                ("no number", {**work, "number": "1"}, 400, "syntax"),
                ("words", "please", 400, "syntax")):
            got, body = page.answer(wrong)
            equal((got, body["error"]), (status, error), what)
        for body, status in ((b"", 400), (b"{", 400), (b'{"altcha": ""}', 400), (b"altcha=!!", 400), (b"x" * 5000, 413)):
            end(page.ask("POST", "/answer", body), status, f"{body[:20]}")
        end(page.ask("POST", "/challenge"), 405)
        end(page.ask(verb="/answer"), 405)
        end(page.ask(verb="/other"), 404)
        end(Page(bed, "https://pull.b.test" + page.path[:-2] + "xx").ask(verb="/challenge"), 404)
        equal(ticket(bed.a, raw)["state"], "challenged", "state after all that")

        equal(page.answer(work), (200, {"solved": True}), "the right answer")
        arrived.one(containing=message_id(raw).encode())
        arrived.one(containing=message_id(second).encode())
        equal(notices(alice, second), [], "a second message in the period")
        equal(page.answer(work)[0], 410, "the same answer again")
        equal(page.ask(verb="/challenge").status, 410, "the page afterwards")

        third = letter()
        submit(bed.a, "alice@a.test", ["bob@b.test"], third)
        arrived.one(containing=message_id(third).encode())
        equal(ticket(bed.a, carol_raw)["state"], "challenged", "carol's letter")
        late = solved(carol_page.challenge())
        try:
            bed.b.daemons.shift_clock(7200)
            time.sleep(1.2)
            status, body = carol_page.answer(late)
            check(status == 410 and "too late" in body["text"], f"work that comes too late: {status} {body}")
        finally:
            bed.b.daemons.shift_clock(0)
            time.sleep(1.2)
        equal(carol_page.answer(solved(carol_page.challenge()), form=True), (200, {"solved": True}), "as a form")
        arrived.one(containing=message_id(carol_raw).encode())
        log.wait(r"from=<alice@a.test> .*status=admitted \(the challenge was answered, letters that waited: 2\)")


def test_question(bed):
    """The mailbox owner's own question: asked as it is, a few wrong answers are borne, then none for a while, not the right one
    either; others may still answer. Cases and blanks do not matter, and a restart neither."""
    with configured(bed.b, admission="known", correspondents="no"):
        bed.b.daemons.restantectl("policy", "dave@b.test", "challenge", "--challenge", "question", "--question",
                                  "Where does the \"Köln\" ferry end?", "--answer", "In New York", "--answer", "Deutz")
        try:
            arrived = Box(bed.b, "dave")
            raw, page = challenged(bed, "dave@a.test", "dave@b.test")
            bed.b.daemons.restart("fetchd")
            equal(page.challenge(), {"kind": "question", "question": "Where does the \"Köln\" ferry end?"}, "the question")
            for wrong in ("New York", "", "In New York Deutz", "x" * 1000):
                status, body = page.answer(wrong)
                equal((status, body["error"]), (422, "answer"), wrong[:20])
                check("answer is wrong" in body["text"], f"what it says: {body}")
            equal(page.answer({"algorithm": "SHA-256", "challenge": "0" * 64, "number": 1, "salt": "0" * 32,
                               "signature": "0" * 64})[0], 400, "work")
            equal(page.answer("x" * 1001)[0], 400, "an answer longer than any")
            equal(page.answer("  in NEW   york\n"), (200, {"solved": True}), "the right answer")
            arrived.one(containing=message_id(raw).encode())

            other, other_page = challenged(bed, "bob@a.test", "dave@b.test")
            for _ in range(5):
                equal(other_page.answer("wrong", form=True)[0], 422, "a wrong answer")
            answer = other_page.ask("POST", "/answer", b"answer=Deutz")
            equal((answer.status, int(answer.headers["retry-after"]) > 0), (429, True), "one too many")
            equal(ticket(bed.a, other)["state"], "challenged", "state")
        finally:
            bed.b.daemons.restantectl("policy", "dave@b.test", "default", "--challenge", "default")
