"""A client that retries after a lost 250 sends nothing twice; another letter, recipient or body is another letter."""

from harness import Box, Smtp, check, equal, letter, submit
from restante import Sink, bare_id, mail_records, tickets, wait_ticket, zones

NEEDS = ("restante",)
FAR = "v=restante1; h=pull.far.test; r=1"


def lose_the_answer(bed, sender, recipients, raw):
    """Submits, and is gone before the answer to the last dot can be read."""
    with Smtp(bed.a, port=587) as smtp:
        smtp.login(sender)
        smtp.envelope(sender, recipients)
        smtp.command("DATA", 354)
        smtp.socket.sendall(raw + b".\r\n")
        smtp.socket.recv(1)


def test_the_same_letter_again(bed):
    """While the ticket is waiting, and after it was delivered: the existing ticket, nothing new at b."""
    box, raw = Box(bed.b, "bob"), letter()
    lose_the_answer(bed, "alice@a.test", ["bob@b.test"], raw)
    submit(bed.a, "alice@a.test", ["bob@b.test"], raw)
    first = wait_ticket(bed.a, raw, "delivered")
    submit(bed.a, "alice@a.test", ["bob@b.test"], raw)
    equal([t["id"] for t in tickets(bed.a, message_id=bare_id(raw))], [first["id"]], "tickets")
    marker = letter()
    submit(bed.a, "alice@a.test", ["bob@b.test"], marker)
    wait_ticket(bed.a, marker, "delivered")
    equal(len(box.new(bare_id(raw).encode())), 1, "copies at b")


def test_what_is_another_letter(bed):
    """A changed body, another recipient, another reverse-path, another owner, no Message-ID of its own."""
    with Sink(bed.x) as sink, zones(bed, far=mail_records(bed.x.address, FAR)):
        raw = letter(to="bob@far.test")
        sent = [("alice@a.test", "alice@a.test", "bob@far.test", raw),
                ("alice@a.test", "alice@a.test", "bob@far.test", raw),
                ("alice@a.test", "alice@a.test", "bob@far.test", raw + b"more\r\n"),
                ("alice@a.test", "alice@a.test", "carol@far.test", raw),
                ("alice@a.test", "dave@a.test", "bob@far.test", raw),
                ("dave@a.test", "alice@a.test", "bob@far.test", raw)]
        for user, sender, to, what in sent:
            with Smtp(bed.a, port=587) as smtp:
                smtp.login(user)
                smtp.send(sender, [to], what)
        equal(len(sink.wait(5)), 5, "stubs")
        equal(len(tickets(bed.a, message_id=bare_id(raw))), 5, "tickets")


def test_many_retries_at_once(bed):
    """Ten sessions submit the same letter at the same time: one ticket."""
    import threading
    raw = letter()
    box = Box(bed.b, "dave")
    workers = [threading.Thread(target=submit, args=(bed.a, "alice@a.test", ["dave@b.test"], raw)) for _ in range(10)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    wait_ticket(bed.a, raw, "delivered")
    equal(len(tickets(bed.a, message_id=bare_id(raw))), 1, "tickets")
    check(len(box.wait(1)) == 1, "copies")
