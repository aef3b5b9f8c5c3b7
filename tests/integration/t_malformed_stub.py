"""Malformed stubs are refused at the edge: bare CR or LF, NUL, over-long fields, unknown or repeated tags, bad values, two
fields, two recipients."""

from harness import Box, Smtp, check, equal
from restante import a_stub, jobs, mail_records, zones

NEEDS = ("restante",)


def offer(bed, raw, to=("bob@b.test",), bdat=False):
    with Smtp(bed.x, to=bed.b.address) as smtp:
        smtp.envelope("restante+00@evil.test", list(to))
        return smtp.bdat(raw, *range(200, 600)) if bdat else smtp.data(raw, *range(200, 600))


def variants():
    good = a_stub()
    value = good.partition(b"Restante-Stub: ")[2].partition(b"\r\n\r\n")[0]

    def field(text):
        return good.replace(b"Restante-Stub: " + value, b"Restante-Stub: " + text)
    url = value.partition(b"u=")[2].partition(b";")[0]
    for name, old, new in (
            ("another version", b"v=1;", b"v=2;"), ("no version", b"v=1; ", b""), ("version not first", b"v=1; u=", b"u="),
            ("an unknown tag", b"; s=", b"; z=1; s="), ("a repeated tag", b"; s=", b"; s=1; s="), ("no URL", b"u=" + url, b"u="),
            ("http", b"u=https:", b"u=http:"), ("a user in the URL", b"https://pull", b"https://x@pull"),
            ("a query", url, url + b"?x=1"), ("a fragment", url, url + b"#x"), ("another path", b"/restante/1/", b"/restante/2/"),
            ("dots in the path", b"/restante/1/", b"/x/../restante/1/"), ("an escaped path", b"/restante/1/", b"/%72estante/1/"),
            ("a short key", b"; a=", b"; a=AAAA; q="), ("size with a sign", b"s=1000", b"s=+1000"), ("size negative", b"s=1000", b"s=-1"),
            ("size with a leading zero", b"s=1000", b"s=01000"), ("size too large", b"s=1000", b"s=99999999999999999999"),
            ("size no number", b"s=1000", b"s=1e3"), ("no recipient", b"t=bob@b.test", b"t="),
            ("two recipients", b"t=bob@b.test", b"t=bob@b.test,carol@b.test"), ("a control character", b"; s=", b";\x01 s="),
            ("8-bit octets", b"; s=", b";\xff s="), ("an empty field", value, b" "),
    ):
        yield name, good.replace(old, new, 1) if old != value else field(new)
    yield "no From", good.replace(b"From: ", b"X-From: ", 1)
    yield "two authors", good.replace(b"From: ", b"From: mallory@evil.test, ", 1)
    yield "over-long", field(value + b";" + b" " * 5000)
    yield "over-long folded", field(value.replace(b"; s=", b";" + b"\r\n " + b" " * 900 + b"\r\n " * 4 + b" " * 4000 + b" s="))
    yield "two fields", good.replace(b"\r\n\r\n", b"\r\nRestante-Stub: " + value + b"\r\n\r\n", 1)
    yield "expired", a_stub(expires=1_000_000_000)
    yield "a bare CR", good.replace(b"; s=", b";\r s=", 1)
    yield "a bare LF", good.replace(b"; s=", b";\n s=x\nX-Smuggled: y\n s=", 1)
    yield "NUL", good.replace(b"; s=", b";\0 s=", 1)


def test_variants(bed):
    """Each is refused with 5xx; none leaves a job. (Postfix makes a blank of a bare CR and cuts a field at NUL before a
    milter sees it: what is left then must be refused or be no stub.)"""
    record = "v=restante1; h=pull.evil.test; r=1"
    box = Box(bed.b, "bob")
    with zones(bed, evil=mail_records(bed.x.address, record)):
        before = len(jobs(bed.b))
        wrong = []
        for name, raw in variants():
            code, text = offer(bed, raw, bdat=name in ("a bare CR", "a bare LF", "NUL"))
            if code // 100 != 5 and name != "a bare CR":
                wrong.append(f"{name}: {code} {text}")
        check(not wrong, "; ".join(wrong))
        equal(offer(bed, a_stub(), to=("bob@b.test", "carol@b.test"))[0] // 100, 5, "answer to a stub for two")
        check(len(jobs(bed.b)) <= before + 1, "jobs were made")
    equal(box.new(), [], "letters")


def test_a_stub_for_an_unknown_user(bed):
    """Refused at RCPT by the MTA itself, as any mail."""
    with Smtp(bed.x, to=bed.b.address) as smtp:
        smtp.command("MAIL FROM:<restante+00@evil.test>", 250)
        equal(smtp.command("RCPT TO:<nobody@b.test>")[0], 550, "answer")


def test_a_stub_where_nobody_takes_them(bed):
    """c knows nothing of Restante: the stub is an ordinary message with a sentence for people."""
    box = Box(bed.c, "bob")
    with Smtp(bed.x, to=bed.c.address) as smtp:
        smtp.send("restante+00@evil.test", ["bob@c.test"], a_stub(to="bob@c.test"))
    check(b"Restante-Stub" in box.one(), "the stub did not arrive as mail")
