"""A mailing list by Restante: its stubs carry List-Id, an owner lets the list in by it, and only from the domain it comes from."""

from harness import Box, Smtp, check, equal, letter, submit, untraced
from owner import attempt, clean, do, job_of, policy, rows
from restante import caught, mail_records, ticket, wait_ticket, zones

NEEDS = ("restante",)
BOB, ALICE = "bob@b.test", "alice@a.test"
LIST = ("List-Id: The developers <Dev.Lists.A.test>", "Precedence: list")


def post(bed, *fields, to=BOB):
    raw = letter(ALICE, to, fields=fields)
    submit(bed.a, ALICE, [to], raw)
    return raw


def test_what_stubs_say(bed):
    """List-Id without its phrase, and that it is bulk mail; other letters' stubs have neither."""
    with caught(bed, "b.test") as sink:
        post(bed, *LIST)
        stub = sink.wait(1)[0].raw
        check(b"\r\nList-Id: <dev.lists.a.test>\r\n" in stub and b"\r\nPrecedence: bulk\r\n" in stub, f"the stub: {stub!r}")
        post(bed, "Auto-Submitted: auto-generated")
        stub = sink.wait(2)[1].raw
        check(b"List-Id" not in stub and b"\r\nPrecedence: bulk\r\n" in stub, f"the stub: {stub!r}")
        post(bed)
        stub = sink.wait(3)[2].raw
        check(b"List-Id" not in stub and b"Precedence" not in stub, f"the stub: {stub!r}")


def test_allowed_by_its_name(bed):
    """A stranger's list waits, unchallenged; allowed as a list, what waits comes and so does the next; its poster's own letters
    still wait, and the list's name from another domain lets nobody in."""
    with clean(bed.b, BOB), policy(bed.b, BOB, "challenge", "--legacy", "attempt"), \
            zones(bed, liar=mail_records(bed.x.address)):
        box = Box(bed.b, "bob")
        first = post(bed, *LIST)
        seen = attempt(bed.b, BOB, ALICE)
        equal((seen["list_id"], seen["verified"]), ("dev.lists.a.test", "a.test"), "the attempt")
        wait_ticket(bed.a, first, "held")
        do(bed.b, "allow", BOB, "<dev.lists.a.test>")
        arrives(box, bed, first)
        second = post(bed, *LIST)
        wait_ticket(bed.a, second, "delivered")
        equal(job_of(bed.b, admission="list")["verified"], "a.test", "why it was taken")

        third = post(bed)
        attempt(bed.b, BOB, ALICE)
        check(ticket(bed.a, third)["state"] != "delivered", "the poster's own letter")
        with Smtp(bed.x, to=bed.b.address) as smtp:
            smtp.send("eve@liar.test", [BOB], letter("eve@liar.test", BOB, fields=LIST))
        equal(attempt(bed.b, BOB, "eve@liar.test")["list_id"], "dev.lists.a.test", "the liar's attempt")
        equal(len(box.new()), 2, "letters")


def arrives(box, bed, raw):
    wait_ticket(bed.a, raw, "delivered")
    untraced(box.one(), raw)
    equal(rows(bed.b, "attempts", BOB), [], "attempts")
