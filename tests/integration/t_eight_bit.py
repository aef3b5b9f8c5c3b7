"""SMTPUTF8 and 8BITMIME: addresses and headers in UTF-8 go as stubs, and arrive as they were."""

from harness import Box, check, equal, letter, lf, submit
from restante import Sink, caught, mail_records, stub_tags, strip_trace, ticket, zones

NEEDS = ("restante",)


def test_utf8_header_and_8bit_body(bed):
    """To an ASCII address, with SMTPUTF8 and BODY=8BITMIME."""
    box = Box(bed.b, "bob")
    raw = letter(subject="Gr\u00fc\u00dfe an B\u00f6b", body="\u00c4\u00d6\u00dc\r\n".encode(),
                 fields=["MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit"])
    submit(bed.a, "alice@a.test", ["bob@b.test"], raw, mail="BODY=8BITMIME SMTPUTF8")
    got = box.one()
    check(b"with RESTANTE" in got[:3000], "it did not come by Restante")
    equal(strip_trace(got), lf(raw), "letter")


def test_utf8_addresses_in_the_stub(bed):
    """A recipient with a UTF-8 local part in a domain with a UTF-8 name gets an SMTPUTF8 stub."""
    domain = "xn--bcher-kva"  # bücher
    with Sink(bed.x) as sink, zones(bed, **{domain: mail_records(bed.x.address, "v=restante1; h=pull." + domain + ".test; r=1")}):
        to = "j\u00f6rg@b\u00fccher.test"
        raw = letter(to=to, body=b"Hallo\r\n")
        submit(bed.a, "alice@a.test", [to], raw, mail="SMTPUTF8")
        mail = sink.one()
        check("SMTPUTF8" in mail.mail, f"the stub went without SMTPUTF8: {mail.mail}")
        check(b"Restante-Stub:" in mail.raw, "no stub went out")
        equal(ticket(bed.a, raw)["recipient"].partition("@")[0], "j\u00f6rg", "local part of the ticket's recipient")
        check(stub_tags(mail.raw)["t"].startswith("j=C3=B6rg@"), f"t= of the stub: {stub_tags(mail.raw)['t']}")


def test_8bit_from_field(bed):
    """A From field in UTF-8 is shown in the stub as it is in the letter."""
    with caught(bed, "b.test") as sink:
        raw = letter().replace(b"From: alice@a.test", "From: \u00c4lice <alice@a.test>".encode())
        submit(bed.a, "alice@a.test", ["bob@b.test"], raw, mail="BODY=8BITMIME SMTPUTF8")
        mail = sink.one()
        check("From: \u00c4lice <alice@a.test>".encode() in mail.raw, f"From of the stub: {mail.raw[:300]!r}")
