"""main.cf says who is enabled: restante_domains alone turns it on, and taking a domain off the line brings plain SMTP back
at once, while letters that lie here already are still served."""

from harness import Box, check, letter, submit
from restante import caught, main_cf, tickets, wait_ticket, bare_id

NEEDS = ("restante",)


def goes_by_restante(bed):
    box, raw = Box(bed.b, "bob"), letter()
    submit(bed.a, "alice@a.test", ["bob@b.test"], raw)
    return b"with RESTANTE" in box.one()[:3000]


def test_on_off_and_on_again(bed):
    """Enabled, not enabled, another domain enabled, enabled: what the next letter does is decided by that line alone."""
    check(goes_by_restante(bed), "enabled, and the letter went plain")
    with main_cf(bed.a, restante_domains=""):
        check(not goes_by_restante(bed), "an empty line, and the letter did not go plain")
    with main_cf(bed.a, restante_domains="other.test"):
        check(not goes_by_restante(bed), "another domain is enabled, and the letter did not go plain")
    with main_cf(bed.a, milter_macro_defaults=None):
        check(not goes_by_restante(bed), "the macro is absent, and the letter did not go plain")
    check(goes_by_restante(bed), "enabled again, and the letter went plain")


def test_one_of_several_domains(bed):
    """The line is a list, with commas or blanks and in any case."""
    for line in ("other.test, A.Test", "other.test a.test third.test"):
        with main_cf(bed.a, restante_domains=line):
            check(goes_by_restante(bed), f"{line}: the letter went plain")


def test_letters_here_are_still_served(bed):
    """Deposited while enabled, disabled before the stub arrives: the letter is served."""
    box, raw = Box(bed.b, "bob"), letter()
    with caught(bed, "b.test", answer=lambda stage, mail: "451 4.3.0 later" if stage == "RCPT" else None):
        submit(bed.a, "alice@a.test", ["bob@b.test"], raw)
        check(tickets(bed.a, message_id=bare_id(raw)), "no ticket")
    with main_cf(bed.a, restante_domains=""):
        bed.a.mta.flush()
        check(b"with RESTANTE" in box.one(timeout=40)[:3000], "it did not come by Restante")
        wait_ticket(bed.a, raw, "delivered")
