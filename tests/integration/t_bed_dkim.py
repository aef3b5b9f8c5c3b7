"""The bed's DKIM signer: plain mail from a arrives at c with a signature that holds, and one altered octet breaks it."""

from bedlib.dkim import Signer, verifies
from harness import Box, check, letter, submit


def test_signed_mail_verifies(bed):
    """Signed at a, verified with what lies in the Maildir at c."""
    with Signer(bed.a):
        box = Box(bed.c, "bob")
        submit(bed.a, "alice@a.test", ["bob@c.test"], letter(to="bob@c.test", body=b"trailing blanks \r\n\r\n\r\n"))
        raw = box.one()
        check(b"DKIM-Signature: " in raw, "no signature")
        check(verifies(bed, raw), "the signature does not hold")
        check(not verifies(bed, raw.replace(b"trailing", b"Trailing")), "an altered letter verifies")
