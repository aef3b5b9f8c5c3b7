"""fetchd is told to stop while the MTA that it gives a letter to hangs: it ends by itself, well before systemd would kill it, and
the letter is there, once, after the next start with an MTA that answers."""

import contextlib
import threading

from harness import Box, check, equal, letter, lf, submit, wait_for
from restante import Sink, configured, strip_trace, wait_ticket

NEEDS = ("restante",)
TIMEOUT = 180
PORT = 10077
UNIT_GIVES_S = 60  # TimeoutStopSec


@contextlib.contextmanager
def hanging(bed, stage):
    """The listener for letters at b is one that stops answering at this stage; yields when it does."""
    hangs, over = threading.Event(), threading.Event()

    def answer(at, mail):
        del mail
        if at == stage:
            hangs.set()
            over.wait(UNIT_GIVES_S + 60)
            return ""  # closes the connection without a word
        return None
    with Sink(bed.b, answer, port=PORT), configured(bed.b, letters_in=f"127.0.0.1:{PORT}"):
        try:
            yield hangs
        finally:
            over.set()


def stopped_while(bed, stage):
    """A letter that comes to a hanging MTA, and a stop."""
    box, raw = Box(bed.b, "bob"), letter()
    with hanging(bed, stage) as hangs:
        submit(bed.a, "alice@a.test", ["bob@b.test"], raw)
        wait_for("the MTA to hang", hangs.is_set, 30, 0.1)
        check(not bed.b.daemons.stop_one("fetchd", grace=UNIT_GIVES_S), "it had to be killed")
    equal(strip_trace(box.one(timeout=40)), lf(raw), "letter")
    wait_ticket(bed.a, raw, "delivered")
    equal(len(box.new()), 1, "letters")


def test_before_the_letter_was_sent(bed):
    """Nothing was said of the letter: it was not tried."""
    stopped_while(bed, "MAIL")


def test_while_the_final_answer_is_waited_for(bed):
    """The MTA may have taken it, and had not: given to the next again."""
    stopped_while(bed, "DATA")
