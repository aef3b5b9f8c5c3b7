"""Link hosts that dribble, hang or never answer are cut off by the rules, and a letter from a to b is not delayed by them."""

import contextlib
import time

from evil import Evil
from harness import Box, check, equal, letter, submit
from restante import configured, fetchd_log

NEEDS = ("restante",)
TIMEOUT = 90


def dribble(request, ticket):
    """One octet a second."""
    ticket.answer_claim(request, ticket.sealed[:100], end=False)
    for octet in ticket.sealed[100:]:
        time.sleep(1)
        request.send(bytes([octet]))


def hang_after_the_head(request, ticket):
    ticket.answer_claim(request, b"", end=False)


def hang_in_the_middle(request, ticket):
    ticket.answer_claim(request, ticket.sealed[:len(ticket.sealed) // 2], end=False)


def no_answer(request, ticket):
    pass


def interim_for_ever(request, ticket):
    """103 again and again instead of an answer."""
    while True:
        request.connection.headers(request.stream, [(":status", "103"), ("link", "</x>")], end=False)
        time.sleep(0.3)


def test_slow_hosts(bed):
    """Twenty slow letters at once, from five hosts of a kind each; meanwhile a letter from a arrives undelayed. All slow ones are cut
    off within the limits, to be tried again."""
    kinds = {dribble: "slow", hang_after_the_head: "slow", hang_in_the_middle: "slow", no_answer: "timed out",
             interim_for_ever: "timed out"}
    log = fetchd_log(bed.b)
    with configured(bed.b, retry_min="2s", retry_max="2s", pull_answer_timeout="3s"), contextlib.ExitStack() as stack:
        began, slow = time.monotonic(), []
        for kind in kinds:
            evil = stack.enter_context(Evil(bed))
            for _ in range(4):
                raw = evil.letter("dave@b.test", b"x" * 70 + b"\r\n" * 2000)
                slow.append((kind, evil.ticket(raw, "dave@b.test", on_claim=kind, on_resume=kind).offer()))
        box = Box(bed.b, "bob")
        for size in (10, 300_000):
            sent = time.monotonic()
            submit(bed.a, "alice@a.test", ["bob@b.test"], letter(body=b"y" * 70 + b"\r\n" * size))
            box.wait(1 if size == 10 else 2, timeout=15)
            took = time.monotonic() - sent
            print(f"a letter beside the slow ones took {took:.2f} s")
            check(took < 8, f"a letter took {took:.1f} s")
        for kind, ticket in slow:
            why = log.wait(rf"from=<{ticket.sender}> .*status=deferred \((.*)\)", timeout=60).group(1)
            print(f"{kind.__name__}: {why}")
            check(kinds[kind] in why, f"{kind.__name__}: the log says: {why}")
        took = time.monotonic() - began
        check(took < 60, f"cutting them off took {took:.0f} s")
        equal(Box(bed.b, "dave").new(), [], "letters")


def test_waiting_for_a_slow_host(bed):
    """More letters at one slow host than may be under way in all: those that wait for it take nobody else's turn."""
    with configured(bed.b, pulls_max="6", pulls_host_max="2", pull_answer_timeout="20s"), Evil(bed) as evil:
        for _ in range(12):
            evil.ticket(evil.letter("dave@b.test"), "dave@b.test", on_claim=no_answer).offer()
        box, sent = Box(bed.b, "bob"), time.monotonic()
        submit(bed.a, "alice@a.test", ["bob@b.test"], letter())
        box.wait(1, timeout=15)
        took = time.monotonic() - sent
        print(f"a letter beside the waiting ones took {took:.2f} s")
        check(took < 8, f"a letter took {took:.1f} s")


def test_total_time(bed):
    """A body that comes fast enough but not within pull_total_timeout."""
    def steady(request, ticket):
        ticket.answer_claim(request, ticket.sealed[:100], end=False)
        for at in range(100, len(ticket.sealed), 2000):
            time.sleep(0.2)
            request.send(ticket.sealed[at:at + 2000])
    with configured(bed.b, pull_total_timeout="3s", retry_min="1s", retry_max="1s"), Evil(bed) as evil:
        ticket = evil.ticket(evil.letter("dave@b.test", b"x" * 70 + b"\r\n" * 100_000), "dave@b.test", on_claim=steady).offer()
        job = ticket.wait_job("waiting", tries=1)
        check("timed out" in job["text"], f"the job says: {job['text']}")
