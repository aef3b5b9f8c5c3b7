"""A domain of a test's own whose mail comes to a sink at x, and whose letters lie at a while the daemons' clock goes on.

    with far(bed) as domain:
        offer = domain.send()
        domain.clock(3600 + 400)
        domain.stubs(offer, 2)
"""

import contextlib
import itertools
import os
import time

from harness import Failure, check, equal, letter, submit, wait_for
from puller import Offer
from restante import Sink, fetchd_log, mail_records, stub_tags, ticket, zones

H, D = 3600, 86400
JITTER = 1.11  # a time of the schedule is put off by up to a tenth
_numbers = itertools.count(1)


class Far:
    """.name, .sink; .now: how far the clock of the daemons at a is ahead."""

    def __init__(self, bed, name, sink):
        self.bed, self.name, self.sink, self.now = bed, name, sink, 0
        self.log = fetchd_log(bed.a)

    def record(self, extra):
        return (f"v=restante1; h=pull.{self.name}; p=ip4:{self.bed.b.address},ip6:{self.bed.b.address6}; {extra}"
                if extra is not None else None)

    def designate(self, extra):
        """What DNS says from now on: "r=1", "r=0" ...; None: no record."""
        self.bed.dns.zone(self.name, mail_records(self.bed.x.address, self.record(extra), ttl=1))
        time.sleep(1.2)  # what fetchd has cached ends

    def send(self, raw=None, to=None, **parameters):
        """A letter of alice's; returns its Offer once the first stub is there."""
        to = to or f"bob{next(_numbers)}@{self.name}"
        raw = raw or letter(to=to)
        submit(self.bed.a, "alice@a.test", [to], raw, **parameters)
        mail = wait_for("a stub", lambda: next((mail for mail in self.sink.mails if mail.recipients[0][0] == to), None), 20, 0.05)
        return Offer(self.bed, raw, mail, to)

    def clock(self, seconds):
        """The daemons' clock at a is so far ahead from now on, and fetchd has seen it."""
        self.now = seconds
        self.bed.a.daemons.shift_clock(seconds)
        time.sleep(1.2)

    def mails(self, offer):
        """All that came for a letter's recipient."""
        return [mail for mail in list(self.sink.mails) if mail.recipients[0][0] == offer.recipient]

    def stubs(self, offer, count, timeout=10):
        """Waits for this many stubs of a letter in all; they are all the same ticket's, with a Message-ID of the same."""
        with contextlib.suppress(Failure):
            wait_for(f"{count} stubs", lambda: len(self.mails(offer)) >= count, timeout, 0.05)
        found = self.mails(offer)
        equal(len(found), count, f"stubs at {self.now} s")
        for mail in found:
            tags = stub_tags(mail.raw)
            equal({name: tags[name] for name in "uadftsx"}, {name: offer.tags[name] for name in "uadftsx"}, "the stub again")
            equal(mail.sender, offer.stub.sender, "its reverse-path")

    def ticket(self, offer):
        return ticket(self.bed.a, offer.raw, offer.recipient)

    def state(self, offer, want, timeout=10):
        wait_for(f"the ticket to be {want}", lambda: self.ticket(offer)["state"] == want, timeout, 0.1)


@contextlib.contextmanager
def far(bed, extra="r=1", answer=lambda stage, mail: None):
    """A Far; the clock is given back. answer: as a Sink has it."""
    name = f"far{os.getpid()}x{next(_numbers)}.test"
    with Sink(bed.x, answer) as sink, zones(bed, **{name.partition(".")[0]: []}):
        domain = Far(bed, name, sink)
        domain.bed.dns.zone(name, mail_records(bed.x.address, domain.record(extra), ttl=1))
        try:
            yield domain
        finally:
            domain.clock(0)
            check(bed.a.daemons.pid("fetchd"), "fetchd at a is gone")


def gone(offer, reason):
    """A late claim is answered 410 with this reason."""
    with offer.client() as client:
        answer = offer.claim(client)
        equal((answer.status, answer.headers.get("restante-reason")), (410, reason), "a late claim")
