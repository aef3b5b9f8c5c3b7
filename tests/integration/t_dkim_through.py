"""A letter that opendkim signed ahead of restante-milter still verifies at b, and one that was altered does not."""

import base64
import os

from bedlib.dkim import Signer, verifies
from harness import Box, check, letter, submit

NEEDS = ("restante",)


def test_signature_holds_at_b(bed):
    """simple/simple, with odd spacing, folding, 8-bit text, blank lines at the end, and a large one."""
    with Signer(bed.a):
        odd = letter(body="Gr\u00fc\u00dfe  \r\n..\r\n\t\r\n\r\n\r\n".encode(),
                     fields=["X-Odd:no blank", "X-Folded: one\r\n\t two\r\n   three"])
        large = letter(body=b"\r\n".join(base64.encodebytes(os.urandom(300_000)).splitlines()) + b"\r\n")
        for raw in (odd, large):
            box = Box(bed.b, "bob")
            submit(bed.a, "alice@a.test", ["bob@b.test"], raw, mail="BODY=8BITMIME")
            got = box.one()
            check(b"with RESTANTE" in got[:3000], "it did not come by Restante")
            check(b"DKIM-Signature: " in got, "no signature")
            check(verifies(bed, got), "the signature does not hold")
            check(not verifies(bed, got.replace(b"A letter", b"a letter")), "an altered letter verifies")
