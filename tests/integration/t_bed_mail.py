"""The bed's plain Postfix sites exchange mail, by every way in that other cases use, to the byte."""

from harness import Box, Refused, Smtp, check, equal, letter, mail_log, submit, untraced


def test_a_to_b_arrives_to_the_byte(bed):
    """A letter submitted at a with a login lies in bob's Maildir at b as it was sent."""
    box, raw = Box(bed.c, "bob"), letter(to="bob@c.test", body=b"..dots\r\n.\r\ntrailing  \r\n\r\n\r\n")
    submit(bed.a, "alice@a.test", ["bob@c.test"], raw)
    untraced(box.one(), raw)


def test_c_to_a_and_b_arrives(bed):
    """Mail of a site that knows nothing of Restante arrives at both others."""
    boxes, raw = [Box(bed.a, "alice"), Box(bed.b, "bob")], letter("dave@c.test", "alice@a.test")
    submit(bed.c, "dave@c.test", ["alice@a.test", "bob@b.test"], raw)
    for box in boxes:
        untraced(box.one(), raw)


def test_bdat_carries_8_bit_text_and_dots(bed):
    """BDAT in pieces of seven octets."""
    box, raw = Box(bed.c, "carol"), letter(to="carol@c.test", body="Gr\u00fc\u00dfe\r\n.\r\n..\r\n".encode())
    submit(bed.b, "dave@b.test", ["carol@c.test"], raw, mail="BODY=8BITMIME", bdat=True, chunk=7)
    untraced(box.one(), raw)


def test_sendmail_command(bed):
    """sendmail(1) of the site's own instance."""
    box, raw = Box(bed.c, "dave"), letter(to="dave@c.test")
    done = bed.b.mta.sendmail("-i", "-f", "alice@b.test", "dave@c.test", letter=raw.replace(b"\r\n", b"\n"))
    equal(done.returncode, 0, "sendmail's status")
    untraced(box.one(), raw)


def test_submission_needs_login_or_own_network(bed):
    """Port 587: a wrong password and a stranger are refused."""
    with Smtp(bed.a, port=587) as smtp:
        try:
            smtp.login("alice@a.test", "wrong")
            check(False, "a wrong password was taken")
        except Refused as e:
            equal(e.code, 535, "answer to a wrong password")
    with Smtp(bed.x, to=bed.a.address, port=587) as smtp:
        smtp.command("MAIL FROM:<alice@a.test>", 250)
        equal(smtp.command("RCPT TO:<bob@b.test>")[0], 554, "answer to a stranger")


def test_no_open_relay(bed):
    """A stranger may send to the site's own users and nowhere else."""
    with Smtp(bed.x, to=bed.a.address) as smtp:
        smtp.command("MAIL FROM:<eve@c.test>", 250)
        smtp.command("RCPT TO:<alice@a.test>", 250)
        equal(smtp.command("RCPT TO:<bob@b.test>")[0], 454, "answer to a relay attempt")
        equal(smtp.command("RCPT TO:<nobody@a.test>")[0], 550, "answer to an unknown recipient")


def test_mail_between_sites_is_encrypted(bed):
    """TLSA records and certificates of the bed hold: Postfix finds the peer verified."""
    box, raw, log = Box(bed.c, "abuse"), letter(to="abuse@c.test"), mail_log(bed.a)
    submit(bed.a, "alice@a.test", ["abuse@c.test"], raw)
    untraced(box.one(), raw)
    equal(set(log.find(r"(\w+) TLS connection established to mx\.c\.test")), {"Verified"}, "TLS connections to c")
