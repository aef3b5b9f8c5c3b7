"""Which domains take stubs: what DNS says (r=1, r=0, t=y, absent, bogus), and the last known answer when it fails."""

from harness import check, equal, letter, submit, wait_for
from restante import Sink, bare_id, caught, fetchd_log, mail_records, tickets, zones

NEEDS = ("restante",)
WORDS = {
    "yes": ("v=restante1; h=pull.yes.test; r=1", True),
    "yeswithmore": ("v=restante1; h=pull.yeswithmore.test:8443,other.yeswithmore.test; future=1; r=1; a=abuse@x.test", True),
    "no": ("v=restante1; h=pull.no.test; r=0", False),
    "silent": ("v=restante1; h=pull.silent.test", False),
    "testing": ("v=restante1; h=pull.testing.test; r=1; t=y", False),
    "later": ("v=restante2; h=pull.later.test; r=1", False),
    "broken": ("v=restante1; h=pull.broken.test; r=1; r=1", False),
    "absent": (None, False),
}


def send(bed, domain, sink):
    """Sends a letter; whether the domain got a stub."""
    raw, count = letter(to=f"bob@{domain}"), len(sink.mails)
    submit(bed.a, "alice@a.test", [f"bob@{domain}"], raw)
    mail = sink.wait(count + 1)[-1]
    stub = b"\nRestante-Stub:" in mail.raw
    equal(len(tickets(bed.a, message_id=bare_id(raw))), int(stub), f"{domain}: tickets")
    check(stub or raw.partition(b"\r\n\r\n")[2] in mail.raw, "neither a stub nor the letter")
    return stub


def test_what_the_record_says(bed):
    """r=1 and nothing else makes a stub; a record in error, of another version, or for testing is none."""
    records = {name: mail_records(bed.x.address, record) for name, (record, _) in WORDS.items()}
    with Sink(bed.x) as sink, zones(bed, **records):
        for name, (_, want) in WORDS.items():
            equal(send(bed, f"{name}.test", sink), want, f"{name}: stub")


def test_two_records_are_none(bed):
    """Two designations, though each alone would do."""
    record = WORDS["yes"][0]
    records = mail_records(bed.x.address, record) + [f'_restante TXT "{record}; x=y"']
    with Sink(bed.x) as sink, zones(bed, two=records):
        equal(send(bed, "two.test", sink), False, "stub")


def test_unknown_and_dns_fails(bed):
    """The first letter ever to a domain whose DNS fails goes plain, with a line in the log."""
    log = fetchd_log(bed.a)
    with caught(bed, "doubt.test") as sink, zones(bed, doubt=mail_records(bed.x.address, "v=restante1; h=pull.doubt.test; r=1")):
        bed.dns.break_signatures("doubt.test")
        equal(send(bed, "doubt.test", sink), False, "stub")
        log.wait(r"domain=doubt\.test .*status=plain")


def test_last_known_answer(bed):
    """A domain that took stubs and whose DNS fails now still gets stubs; when DNS says no, the next letter goes plain."""
    record = "v=restante1; h=pull.memory.test; r="
    with caught(bed, "memory.test") as sink, zones(bed, memory=mail_records(bed.x.address, record + "1", ttl=1)):
        equal(send(bed, "memory.test", sink), True, "stub while DNS answers")
        log = fetchd_log(bed.a)
        bed.dns.break_signatures("memory.test")

        def fails():
            equal(send(bed, "memory.test", sink), True, "stub while DNS fails")
            return log.find(r"domain=memory\.test .*status=stub")
        wait_for("the answer to be the last known one", fails, 15, 0.5)
        bed.dns.zone("memory.test", mail_records(bed.x.address, record + "0", ttl=1))
        wait_for("r=0 to be seen", lambda: not send(bed, "memory.test", sink), 15, 0.5)
