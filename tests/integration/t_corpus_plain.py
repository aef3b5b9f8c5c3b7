"""What Postfix alone does to the corpus of letters: its names tell the truth (`altered-...` or arrives as it is).

By DATA and by BDAT; the letters stay at the site, since mail to another one is folded at 998 octets by Postfix's SMTP client.
"""

import corpus
from harness import Box, Failure, Smtp, check, untraced

TIMEOUT = 120


def deliver(bed, letters, bdat):
    """Sends them in one session, each to carol at a, and returns what arrived, by queue id."""
    box = Box(bed.a, "carol")
    by_id = {}
    with Smtp(bed.a, port=587) as smtp:
        for one in letters:
            text = smtp.send("alice@a.test", ["carol@a.test"], one.raw, mail=one.mail_parameters, bdat=bdat, chunk=10_000)
            by_id[text.rpartition("queued as ")[2]] = one
    arrived = box.wait(len(letters), timeout=60)
    found = {}
    for raw in arrived:
        queue_id = next(name for name in by_id if f"id {name}".encode() in raw[:800])
        found[by_id[queue_id].name] = raw
    return found


def problems(bed, bdat):
    letters = corpus.load()
    check(len(letters) >= 60, "fewer than 60 letters")
    arrived = deliver(bed, letters, bdat)
    for one in letters:
        raw = arrived[one.name]
        try:
            untraced(raw, one.raw)
            same = True
        except Failure as e:
            same, why = False, e
        if one.exact and not same:
            yield f"{one.name}: {why}"
        # DATA has no letter without a last line end; LF alone looks as CRLF in a Maildir.
        if not one.exact and same and one.name not in ("altered-no-final-line-end", "altered-bare-lf", "altered-no-header-end"):
            yield f"{one.name}: arrives as it is"


def test_corpus_by_data(bed):
    """All letters by DATA."""
    found = list(problems(bed, False))
    check(not found, f"{len(found)} letters: " + "; ".join(found))


def test_corpus_by_bdat(bed):
    """All letters by BDAT."""
    found = list(problems(bed, True))
    check(not found, f"{len(found)} letters: " + "; ".join(found))
