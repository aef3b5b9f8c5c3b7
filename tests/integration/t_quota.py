"""Quotas: what lies here is counted once a letter, however many recipients it has; when it is full the client is told 452 4.2.2 with
figures and keeps the letter; what is collected makes room; at 80 % the sender is told once; who may see whose."""

from harness import Box, Refused, check, equal, letter, submit, unique
from owner import attempt, clean, do, policy, refused, rows
from recall import lying, room
from restante import bare_id, configured, wait_ticket

NEEDS = ("restante",)
ALICE = "alice@a.test"
BOB = "bob@b.test"


def use(site, name, **options):
    found = rows(site, "quota", name, **options)
    equal(len(found), 1, f"rows of {name}")
    return found[0]


def answer(bed, sender, raw, to=BOB, **options):
    """What the client hears when there is no room: (code, text); None when the letter was taken."""
    try:
        submit(bed.a, sender, [to], raw, **options)
    except Refused as e:
        return e.code, e.text
    return None


def test_a_letter_counts_once(bed):
    """Ten recipients, one payload: one letter, its octets once, for its sender and for his domain; until it is taken back."""
    before, domain = use(bed.a, ALICE), use(bed.a, "@a.test")
    raw = letter(body=b"x" * 5000 + b"\r\n")
    with lying(bed, raw, *(f"u{n}" for n in range(10))):
        now = use(bed.a, ALICE)
        equal((now["letters"] - before["letters"], now["bytes"] - before["bytes"]), (1, len(raw)), "alice's use")
        equal(use(bed.a, "@a.test")["letters"] - domain["letters"], 1, "the domain's letters")
        check("percent" not in now, f"a share of no limit: {now}")
        text = do(bed.a, "quota")
        check(ALICE in text and "@a.test" in text, f"all of them: {text}")
    equal(use(bed.a, ALICE), before, "alice's use afterwards")


def test_full(bed):
    """The third of two letters: 452 4.2.2 with the figures; the client keeps it; once one was delivered it goes."""
    writer = f"{unique('writer')}@a.test"
    with configured(bed.a, quota_sender_letters="2"), clean(bed.b, BOB), policy(bed.b, BOB, "known"):
        box = Box(bed.b, "bob")
        raws = [letter(writer) for _ in range(3)]
        for raw in raws[:2]:
            submit(bed.a, writer, [BOB], raw, login=False)
        attempt(bed.b, BOB, writer, waiting=2)
        code, text = answer(bed, writer, raws[2], login=False)
        equal(code, 452, f"code of {text}")
        check(text.startswith("4.2.2 ") and "quota" in text and f"{writer}: 2 of 2 letters" in text, text)
        equal(rows(bed.a, "tickets", "--message-id", bare_id(raws[2])), [], "tickets of the third")
        equal(use(bed.a, writer)["percent"], 100, "per cent")
        check("100" in do(bed.a, "quota", writer), "the table")
        other = letter("dave@a.test")
        equal(answer(bed, "dave@a.test", other), None, "another sender's letter")
        do(bed.a, "retract", "--message-id", bare_id(other))
        do(bed.b, "allow", BOB, writer)
        for raw in raws[:2]:
            wait_ticket(bed.a, raw, "delivered")
        equal(use(bed.a, writer)["letters"], 0, "letters when both were collected")
        equal(answer(bed, writer, raws[2], login=False), None, "the third, tried again")
        wait_ticket(bed.a, raws[2], "delivered")
        box.wait(3)


def test_octets(bed):
    """By size, of a sender and of a domain."""
    writer = f"{unique('writer')}@a.test"
    big = letter(writer, body=b"x" * 4000 + b"\r\n")
    with room(bed) as lie:
        lie(letter(writer, body=b"x" * 900 + b"\r\n"), sender=writer, login=False)
        domain = use(bed.a, "@a.test")
        for limits, name, letters in (({"quota_sender": "4K"}, writer, 1),
                                      ({"quota_domain": str(domain["bytes"] + 3000)}, "@a.test", domain["letters"])):
            with configured(bed.a, **limits):
                code, text = answer(bed, writer, big, login=False)
                check(code == 452 and f"{name}: {letters} letters, " in text and " of " in text, f"{code} {text}")


def test_told_once(bed):
    """Four of five letters: one message to the sender, with RFC 3834's fields; the fifth brings none; less, and then again as much:
    another one."""
    carol = "carol@a.test"
    lies = use(bed.a, carol)["letters"]  # what an earlier case has left
    with configured(bed.a, quota_sender_letters=str(5 * (lies + 1))), room(bed) as lie:
        box = Box(bed.a, "carol")
        mine = [lie(letter(carol), sender=carol)[0]["id"] for _ in range(4 * (lies + 1) - lies)]
        notice = box.one()
        for field in (b"Return-Path: <>", b"Auto-Submitted: auto-generated", b"From: Mail Delivery System <MAILER-DAEMON@a.test>"):
            check(field in notice, f"{field} is not in {notice[:1500]}")
        check(f"\nLetters: {4 * (lies + 1)} of {5 * (lies + 1)}\n".encode() in notice, f"the figures: {notice}")
        check(use(bed.a, carol)["warned"], "when she was told")
        mine += [lie(letter(carol), sender=carol)[0]["id"]]
        for identity in mine[:2]:
            do(bed.a, "retract", identity)
        for _ in range(2):
            lie(letter(carol), sender=carol)
        equal(len(box.wait(2)), 2, "messages")


def test_the_systems_own_mail(bed):
    """root may use the reserve when his domain's quota is full."""
    used = use(bed.a, "@a.test")["letters"]
    with configured(bed.a, quota_domain_letters=str(used + 2), quota_reserve_percent="100"), room(bed) as lie:
        for _ in range(2):
            lie(letter())
        equal(answer(bed, "dave@a.test", letter("dave@a.test"))[0], 452, "dave's")
        lie(letter("root@a.test"), sender="root@a.test", login=False)
        check(use(bed.a, "@a.test")["percent"] > 100, "per cent")


def test_who_may_see_whose(bed):
    """A user of the system his own; nobody else's, no domain's."""
    with configured(bed.a, system_users_domain="a.test"), \
            lying(bed, letter("news@a.test"), sender="news@a.test", login=False):
        found = rows(bed.a, "quota", user="news")
        equal([(row["name"], row["letters"]) for row in found], [("news@a.test", 1), ("news", 0)], "his own")
        equal(use(bed.a, "news@a.test", user="news")["letters"], 1, "by name")
        for name in (ALICE, "@a.test"):
            refused(bed.a, "quota", name, user="news", status=77)
    refused(bed.a, "quota", user="news", status=77)
    equal(use(bed.a, "nobody-there@a.test")["letters"], 0, "one who never sent anything")
