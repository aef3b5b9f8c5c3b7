"""The corpus of letters (tests/corpus/), for cases that send all of it."""

import os

from bedlib.bed import SOURCE

FOLDER = f"{SOURCE}/tests/corpus"


class Letter:
    """.name, .raw (as on the wire), .exact (arrives as it is), .utf8 (needs SMTPUTF8), .stubbed (may go as a stub)."""

    def __init__(self, name, raw):
        self.name, self.raw = name, raw
        self.exact = not name.startswith("altered-")
        self.utf8 = name.startswith("smtputf8-")
        self.stubbed = not name.startswith("unstubbed-")

    def again(self, word):
        """The same letter with another Message-ID (where it has one): a new letter for who compares Message-IDs."""
        return Letter(self.name, self.raw.replace(b"@corpus.a.test>", b"@" + word.encode() + b".corpus.a.test>"))

    @property
    def mail_parameters(self):
        return "BODY=8BITMIME SMTPUTF8" if self.utf8 else "BODY=8BITMIME"


def load():
    """All letters, by name."""
    found = []
    for file in sorted(os.listdir(FOLDER)):
        if file.endswith(".eml"):
            with open(f"{FOLDER}/{file}", "rb") as f:
                found.append(Letter(file.removesuffix(".eml"), f.read()))
    return found
