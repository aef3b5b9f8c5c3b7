"""What integration cases use beside the bed itself: SMTP to the byte, Maildirs to the byte, logs, waiting.

A case is a function `test_*(bed)` in a file `t_*.py` whose first lines say what it shows; it fails by raising. Waiting is
always `wait_for` with a limit, never a sleep. A case that changes something gives it back (`contextlib`, try/finally).
"""

import base64
import itertools
import os
import re
import socket
import time

from bedlib.mta import PASSWORD
from bedlib.run import BedError, wait_for  # noqa: F401  (wait_for is for the cases)

_counter = itertools.count(1)
TRACE = re.compile(rb"(?i)(return-path|x-original-to|delivered-to|received|authentication-results):")


class Failure(Exception):
    """What a case found wrong."""


def check(condition, text):
    if not condition:
        raise Failure(text)


def equal(got, want, what="value"):
    if got != want:
        raise Failure(f"{what}: got {got!r:.500}, want {want!r:.500}")


def unique(prefix="letter"):
    """A word that is nowhere else in this run."""
    return f"{prefix}.{os.getpid()}.{time.time_ns():x}.{next(_counter)}"


def letter(sender="alice@a.test", to="bob@b.test", *, body=b"Hello.\r\n", fields=(), subject="A letter"):
    """An ordinary letter with CRLF line ends and a Message-ID of its own."""
    head = [f"From: {sender}", f"To: {to}", f"Subject: {subject}", "Date: Sat, 21 Nov 2026 10:00:00 +0000",
            f"Message-ID: <{unique()}@{sender.rpartition('@')[2]}>", *fields]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def message_id(raw):
    return re.search(rb"(?im)^message-id:\s*(<[^>]*>)", raw).group(1).decode()


# --- SMTP

class Refused(Failure):
    """An answer that was not the wanted one. .code, .text"""

    def __init__(self, command, code, text):
        super().__init__(f"{command}: {code} {text}")
        self.code, self.text = code, text


class Smtp:
    """An SMTP client that sends exactly what it is told. Commands return (code, text) or raise Refused.

    site: where it speaks from. to: address to connect to (the site itself). source: one of the site's addresses. Example:
        with Smtp(bed.a, port=587) as smtp:
            smtp.login("alice@a.test")
            smtp.send("alice@a.test", ["bob@b.test"], raw)
    """

    def __init__(self, site, to="127.0.0.1", port=25, *, helo="client.test", timeout=60, ehlo=True, source=None):
        with site.inside():
            self.socket = socket.create_connection((to, port), timeout, (source, 0) if source else None)
        self.file = self.socket.makefile("rb")
        self.extensions = {}
        self.banner = self.answer("banner", 220)
        if ehlo:
            self.ehlo(helo)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    def answer(self, command, *want):
        """Reads one answer; want: the codes that are fine, none = any."""
        lines = []
        while True:
            line = self.file.readline()
            if not line:
                raise Refused(command, 0, "connection closed")
            lines.append(line[4:].rstrip(b"\r\n").decode(errors="replace"))
            if line[3:4] != b"-":
                break
        code, text = int(line[:3]), "\n".join(lines)
        if want and code not in want:
            raise Refused(command, code, text)
        return code, text

    def command(self, line, *want):
        raw = line if isinstance(line, bytes) else line.encode()
        self.socket.sendall(raw + b"\r\n")
        return self.answer(raw.decode(errors="replace")[:200], *want)

    def ehlo(self, name="client.test"):
        _, text = self.command(f"EHLO {name}", 250)
        self.extensions = {line.split()[0].upper(): line.split()[1:] for line in text.splitlines()[1:]}

    def login(self, user, password=PASSWORD):
        secret = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        return self.command(f"AUTH PLAIN {secret}", 235)

    def envelope(self, sender, recipients, mail="", rcpt=""):
        """MAIL and RCPTs. mail, rcpt: parameters ("BODY=8BITMIME", "NOTIFY=NEVER"); a recipient may be a pair (address,
        parameters)."""
        self.command(f"MAIL FROM:<{sender}> {mail}".rstrip(), 250)
        for one in recipients:
            address, parameters = one if isinstance(one, tuple) else (one, rcpt)
            self.command(f"RCPT TO:<{address}> {parameters}".rstrip(), 250)

    def data(self, raw, *want):
        """The letter by DATA: dots are stuffed, a missing last CRLF is added, nothing else is touched."""
        self.command("DATA", 354)
        stuffed = re.sub(rb"(?m)^\.", b"..", raw) if b"\n" in raw else (b"." + raw if raw.startswith(b".") else raw)
        self.socket.sendall(stuffed + (b"" if raw.endswith(b"\r\n") or not raw else b"\r\n") + b".\r\n")
        return self.answer("end of DATA", *(want or (250,)))

    def bdat(self, raw, *want, chunk=1000):
        """The letter by BDAT in pieces: exactly these octets."""
        for at in range(0, len(raw), chunk):
            piece = raw[at:at + chunk]
            self.socket.sendall(f"BDAT {len(piece)}\r\n".encode() + piece)
            self.answer("BDAT", 250)
        self.socket.sendall(b"BDAT 0 LAST\r\n")
        return self.answer("BDAT LAST", *(want or (250,)))

    def send(self, sender, recipients, raw, *, mail="", rcpt="", bdat=False, chunk=1000):
        """A whole transaction. Returns the MTA's last words."""
        self.envelope(sender, recipients, mail, rcpt)
        return (self.bdat(raw, chunk=chunk) if bdat else self.data(raw))[1]


def submit(site, sender, recipients, raw, *, login=True, **options):
    """Submits at port 587, as the user `sender` unless login is False. Returns the queue id."""
    with Smtp(site, port=587) as smtp:
        if login:
            smtp.login(sender)
        return queue_id(smtp.send(sender, recipients, raw, **options))


def queue_id(text):
    """The queue id in "2.0.0 Ok: queued as ID"."""
    return text.rpartition("queued as ")[2].split()[0]


# --- Maildirs

class Box:
    """New letters in a user's Maildir, from the moment this was made. Example:
        box = Box(bed.b, "bob"); submit(...); raw = box.one()
    """

    def __init__(self, site, user):
        self.site, self.user = site, user
        self.seen = set(site.mta.letters(user))

    def new(self, containing=b""):
        """The new letters there are by now, as bytes (line ends are LF in a Maildir)."""
        found = []
        for path in self.site.mta.letters(self.user):
            if path not in self.seen:
                with open(path, "rb") as f:
                    found.append(f.read())
        return [raw for raw in found if containing in raw]

    def wait(self, count=1, *, timeout=20, containing=b""):
        """Waits for at least `count` letters and returns all of them."""
        def enough():
            found = self.new(containing)
            return found if len(found) >= count else None
        return wait_for(f"{count} letter(s) for {self.user} at {self.site.domain}", enough, timeout, 0.05)

    def one(self, **options):
        """Waits for a letter; there must be just one."""
        found = self.wait(**options)
        equal(len(found), 1, f"letters for {self.user} at {self.site.domain}")
        return found[0]


def lf(raw):
    return raw.replace(b"\r\n", b"\n")


def untraced(delivered, original):
    """The delivered letter without the trace fields on top of it. Fails unless what is left is `original` (with CRLF or LF)
    to the byte."""
    want = lf(original)
    if not want.endswith(b"\n"):
        want += b"\n"
    check(delivered.endswith(want), "the letter is not the sent one: " + first_difference(delivered, want))
    top = delivered[: len(delivered) - len(want)]
    for field in re.split(rb"\n(?![ \t])", top.removesuffix(b"\n")) if top else []:
        check(TRACE.match(field), f"a field that nobody sent stands on top: {field!r}")
    return want


def first_difference(delivered, want):
    start = delivered.find(want[:40]) if want[:40] in delivered else 0
    part = delivered[start:]
    at = next((i for i, (x, y) in enumerate(zip(part, want)) if x != y), min(len(part), len(want)))
    return f"at octet {at}: got {part[at:at + 60]!r}, want {want[at:at + 60]!r}"


# --- logs

class Log:
    """A log file from the moment this was made. Example: log = Log(bed.a.mta.log); ...; log.wait(r"status=sent")"""

    def __init__(self, path):
        self.path = path
        self.start = os.path.getsize(path) if os.path.exists(path) else 0

    def text(self):
        try:
            with open(self.path, "rb") as f:
                f.seek(self.start)
                return f.read().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def find(self, pattern):
        return re.findall(pattern, self.text(), re.M)

    def wait(self, pattern, timeout=20):
        """Waits until the pattern is there; returns the match."""
        return wait_for(f"/{pattern}/ in {self.path}", lambda: re.search(pattern, self.text(), re.M), timeout, 0.05)


def mail_log(site):
    return Log(site.mta.log)


def daemon_log(site, name):
    return Log(site.daemons.log_file(name))
