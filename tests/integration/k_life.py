"""The walk through the kill points of a letter that nobody calls for: fetchd at a dies while it looks at it again, warns its sender,
closes its ticket, sends it plain. After the next start the same goes on: a letter is told of again and can be called for, or it
came plain and its ticket is closed; the sender is warned once. What comes twice is what the MTA had and fetchd had not noted.
"""

import signal
import time

from far import H, far, gone
from harness import Box, check, equal, wait_for
from puller import end
from restante import bare_id, dsn

NEEDS = ("restante",)
TIMEOUT = 120

# The MTA has it, and that is not durable yet; or one is durable while another thread's is not.
DOUBLE = ("plain-send-after", "stub-send-after", "notify-send-after", "work-done-commit-before", "work-done-commit-after")


def dies(domain, point, seconds):
    """fetchd at a dies at a point after the clock has gone on, is started again, and comes to rest."""
    daemons = domain.bed.a.daemons
    daemons.stop_one("fetchd")
    daemons.start_one("fetchd", env={"RESTANTE_KILL": f"{point}:1"})
    child = daemons.children["fetchd"]
    try:
        daemons.shift_clock(seconds)
        wait_for(f"fetchd to die at {point}", lambda: child.poll() is not None, 20, 0.05)
        equal(child.returncode, -signal.SIGKILL, "how fetchd ended")
    finally:
        daemons.stop_one("fetchd", grace=0)
        daemons.start_one("fetchd")


def quiet(read, count):
    """Waits until there are as many, and a while longer; returns them."""
    wait_for(f"{count} of them", lambda: len(read()) >= count, 20, 0.05)
    time.sleep(2.5)  # a wrong one more would come at the next looks
    return read()


def warnings(box, offer):
    found = [dsn(raw)[1][0]["action"] for raw in box.new(bare_id(offer.raw).encode())]
    equal(set(found) - {"delayed"}, set(), "other reports")
    return found


def sent_plain(bed, point):
    box = Box(bed.a, "alice")
    with far(bed) as domain:
        offer = domain.send()
        domain.designate("r=0")
        dies(domain, point, int(1.11 * H))
        letters = quiet(lambda: [mail for mail in domain.mails(offer) if b"\nRestante-Stub:" not in mail.raw], 1)
        for mail in letters:
            check(mail.raw.endswith(offer.raw), "not the letter")
        check(len(letters) == 1 or point in DOUBLE and len(letters) == 2, f"the letter came {len(letters)} times")
        equal(domain.ticket(offer)["state"], "plain", "state")
        gone(offer, "plain")
        equal(warnings(box, offer), [], "warnings")


def told_again(bed, point):
    box = Box(bed.a, "alice")
    with far(bed) as domain:
        offer = domain.send()
        dies(domain, point, int(4.44 * H))
        told = quiet(lambda: warnings(box, offer), 1)
        check(len(told) == 1 or point in DOUBLE and len(told) == 2, f"{len(told)} warnings")
        stubs = len(domain.mails(offer))
        check(stubs == 2 or point in DOUBLE and stubs == 3, f"{stubs} stubs")
        with offer.client() as client:
            end(offer.claim(client), 200)
            end(offer.ack(client), 204)
        equal(domain.ticket(offer)["state"], "delivered", "state")


def held(bed, point):
    box = Box(bed.a, "alice")
    with far(bed) as domain:
        offer = domain.send()
        with offer.client() as client:
            end(offer.ask(client, "POST", "status", status="held"), 204)
        dies(domain, point, int(4.44 * H))
        equal(len(quiet(lambda: warnings(box, offer), 1)), 1, "warnings")
        equal(len(domain.mails(offer)), 1, "stubs")
        equal(domain.ticket(offer)["state"], "held", "state")


WALK = (
    (sent_plain, ("plain-commit-before", "plain-commit-after", "stub-wait-commit-after", "plain-send-before", "plain-send-after",
                  "work-done-commit-before", "work-done-commit-after")),
    (told_again, ("delay-commit-before", "delay-commit-after", "stub-send-before", "stub-send-after", "notify-send-before",
                  "notify-send-after", "work-done-commit-before", "work-done-commit-after")),
    (held, ("stub-wait-commit-before", "stub-wait-commit-after", "delay-commit-before", "delay-commit-after")),
)


def _case(what, point):
    def case(bed):
        what(bed, point)
    case.__doc__ = f"fetchd at a dies at {point} ({what.__name__})."
    return case


for _what, _points in WALK:
    for _point in _points:
        globals()[f"test_{_what.__name__}_{_point}"] = _case(_what, _point)
