"""An MTA's side of the milter protocol (version 6), to the byte, and restante-milter started for one case.

    with Milter() as milter:                     # the program, with a fetchd whose answers the case decides (localapi.py)
        with milter.session() as mta:            # one connection of an MTA, negotiated, after CONNECT and HELO
            end = mta.message(["<alice@a.test>"], [["<bob@b.test>"]], raw)
            equal(end.kind, "continue"); equal(end.deleted, ["<bob@b.test>"])
"""

import collections
import glob
import os
import re
import signal
import socket
import struct
import subprocess
import tempfile

from bedlib.run import BedError, listens, wait_for
from localapi import Fetchd

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

ACTIONS = 0x1ff        # what Postfix 3.7 and Sendmail 8.17 offer
STEPS = 0x1fffff
DELRCPT, SETSYMLIST = 0x08, 0x100
NODATA, NOUNKNOWN, LEADSPC = 0x200, 0x100, 0x100000
NO_REPLY = {"C": 0x1000, "H": 0x2000, "M": 0x4000, "R": 0x8000, "T": 0x10000, "U": 0x20000, "L": 0x80, "N": 0x40000,
            "B": 0x80000}
# For cases that look at memory: freed memory is not kept back for long by AddressSanitizer.
LITTLE_QUARANTINE = {"ASAN_OPTIONS": "quarantine_size_mb=1:thread_local_quarantine_size_kb=64"}
PLACES = {0: "C", 1: "H", 2: "M", 3: "R", 4: "T", 5: "E", 6: "N"}
KINDS = {"c": "continue", "a": "accept", "d": "discard", "r": "reject", "t": "tempfail", "y": "reply", "s": "skip"}

End = collections.namedtuple("End", "kind stage code enhanced text deleted edits")


class ProtocolError(Exception):
    """The milter said what no milter may say, or hung up."""


class Mta:
    """One connection to a milter. Commands return the milter's answer as an End, or None where it promised none."""

    def __init__(self, path, *, actions=ACTIONS, steps=STEPS, timeout=60):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout)
        self.socket.connect(path)
        self.file = self.socket.makefile("rb")
        self.macros_wanted = {}
        self.version = self.actions = self.steps = None
        self.offered = (actions, steps)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    # --- packets

    def packet(self, command, data=b""):
        self.socket.sendall(struct.pack("!I", len(data) + 1) + command.encode() + data)

    def read(self):
        head = self.file.read(5)
        if len(head) < 5:
            raise ProtocolError("the milter hung up")
        length, kind = struct.unpack("!Ic", head)
        data = self.file.read(length - 1)
        if len(data) < length - 1:
            raise ProtocolError("the milter hung up within a packet")
        return kind.decode(), data

    def answer(self, stage):
        deleted, edits = [], []
        while True:
            kind, data = self.read()
            if kind == "p":
                continue
            if kind == "-":
                deleted.append(data.rstrip(b"\0").decode("utf-8", "surrogateescape"))
                continue
            if kind in "+2behimq":
                edits.append((kind, data))
                continue
            if kind not in KINDS:
                raise ProtocolError(f"unexpected answer {kind!r} at {stage}")
            code = enhanced = text = None
            if kind == "y":
                code, enhanced, text = data.rstrip(b"\0").decode().split(" ", 2)
                text = text.replace("%%", "%")
            return End(KINDS[kind], stage, code, enhanced, text, deleted, edits)

    def command(self, command, data=b"", macros=None):
        """Sends macros and command; reads an answer unless none was promised."""
        if macros and self.macros_wanted.get(command) is not None:
            macros = {name: value for name, value in macros.items() if name in self.macros_wanted[command]}
        if macros:
            self.packet("D", command.encode() + b"".join(f"{name}\0{value}\0".encode("utf-8", "surrogateescape")
                                                          for name, value in macros.items()))
        self.packet(command, data)
        if self.steps & NO_REPLY.get(command, 0):
            return None
        return self.answer(command)

    # --- a session

    def negotiate(self):
        actions, steps = self.offered
        self.packet("O", struct.pack("!III", 6, actions, steps))
        kind, data = self.read()
        if kind != "O":
            raise ProtocolError(f"negotiation answered by {kind!r}")
        self.version, self.actions, self.steps = struct.unpack("!III", data[:12])
        rest = data[12:]
        while rest:
            place, = struct.unpack("!I", rest[:4])
            names, _, rest = rest[4:].partition(b"\0")
            self.macros_wanted[PLACES[place]] = names.decode().split()
        return self

    def connect(self, host="client.example", address="192.0.2.1", port=4711, *, domains="a.test", family=None, macros=None):
        """domains: {restante_domains}; None: the macro is not defined."""
        values = {"j": "mx.a.test", "{daemon_name}": "mx.a.test", "{client_addr}": address, "{client_port}": str(port)}
        if domains is not None:
            values["{restante_domains}"] = domains
        values.update(macros or {})
        if family == "U":
            peer = b"U"
        else:
            peer = (b"6" if ":" in address else b"4") + struct.pack("!H", port) + address.encode() + b"\0"
        return self.command("C", host.encode() + b"\0" + peer, values)

    def helo(self, name="client.example"):
        return self.command("H", name.encode("utf-8", "surrogateescape") + b"\0", {"{tls_version}": "TLSv1.3"})

    def mail(self, *argv, auth=None, queue_id=None):
        values = {"{mail_addr}": argv[0].strip("<>")}
        if auth:
            values.update({"{auth_type}": "PLAIN", "{auth_authen}": auth})
        if queue_id:
            values["i"] = queue_id
        return self.command("M", arguments(argv), values)

    def rcpt(self, *argv, mailer="smtp"):
        values = {"{rcpt_addr}": argv[0].strip("<>").lower()}
        if mailer:
            values.update({"{rcpt_mailer}": mailer, "{rcpt_host}": "b.test"})
        return self.command("R", arguments(argv), values)

    def header(self, name, value):
        return self.command("L", to_bytes(name) + b"\0" + to_bytes(value) + b"\0")

    def header_end(self, queue_id="4Test1"):
        return self.command("N", b"", {"i": queue_id})

    def body(self, data):
        return self.command("B", data)

    def end(self, data=b"", queue_id="4Test1"):
        return self.command("E", data, {"i": queue_id})

    def abort(self):
        self.packet("A")

    def quit(self):
        self.packet("Q")

    def next_connection(self):
        """The MTA keeps the socket for another client's session."""
        self.packet("K")

    def start(self, helo="client.example", **options):
        self.negotiate()
        answer = self.connect(**options)
        if answer.kind == "continue":
            self.helo(helo)
        return answer

    def envelope(self, mail, recipients, **options):
        mailer = options.pop("mailer", "smtp")
        self.mail(*mail, **options)
        for argv in recipients:
            self.rcpt(*argv, mailer=mailer)

    def headers(self, raw):
        """The header of a raw message (CRLF), each field as an MTA takes it apart. Returns the body."""
        head, _, body = raw.partition(b"\r\n\r\n") if not raw.startswith(b"\r\n") else (b"", b"", raw[2:])
        for field in re.split(rb"\r\n(?![ \t])", head) if head else []:
            name, _, value = field.partition(b":")
            if not self.steps & LEADSPC:
                value = value.removeprefix(b" ")
            answer = self.header(name, value.replace(b"\r\n", b"\n"))
            if answer and answer.kind != "continue":
                raise ProtocolError(f"a header field was answered {answer}")
        return body

    def content(self, raw, *, chunk=65535, queue_id="4Test1"):
        """From the header to the end of the message, as far as the milter wants it."""
        body = self.headers(raw)
        answer = self.header_end(queue_id)
        if answer.kind != "continue":
            return answer
        for at in range(0, len(body), chunk):
            answer = self.body(body[at:at + chunk])
            if answer.kind == "skip":
                break
            if answer.kind != "continue":
                return answer
        return self.end(queue_id=queue_id)

    def message(self, mail, recipients, raw, *, chunk=65535, queue_id="4Test1", **options):
        """A whole message: mail and each recipient are argument lists. Returns the answer that ended it."""
        self.envelope(mail, recipients, **options)
        return self.content(raw, chunk=chunk, queue_id=queue_id)


def to_bytes(text):
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")


def arguments(argv):
    return b"".join(to_bytes(arg) + b"\0" for arg in argv)


# --- the program

def find_milter():
    """The restante-milter to be tested: RESTANTE_PREFIX, RESTANTE_BUILD, or the newest of the usual build folders."""
    prefix, build = os.environ.get("RESTANTE_PREFIX"), os.environ.get("RESTANTE_BUILD")
    if prefix:
        found = [f"{prefix}/{folder}/restante-milter" for folder in ("sbin", "bin", "usr/sbin", "usr/bin")]
    elif build:
        found = [f"{build}/milter/restante-milter"]
    else:
        found = glob.glob(f"{SOURCE}/build/*/milter/restante-milter")
    found = [path for path in found if os.access(path, os.X_OK)]
    if not found:
        raise BedError("restante-milter is not built")
    return max(found, key=os.path.getmtime)


class Milter:
    """restante-milter in a folder of its own, and a Fetchd (localapi.py) whose answers are the case's."""

    def __init__(self, *, fetchd=True, env=None, end_by_term=False, **settings):
        self.folder = tempfile.mkdtemp(prefix="restante-milter.")
        self.path = settings.get("milter_socket", f"{self.folder}/milter.sock").removeprefix("unix:")
        self.conf = f"{self.folder}/restante.conf"
        self.log = f"{self.folder}/log"
        values = {"config_version": "1", "local_domains": "a.test", "submission_networks": "198.51.100.0/24",
                  "local_socket_directory": self.folder, "milter_socket": f"unix:{self.path}"} | settings
        with open(self.conf, "w", encoding="utf-8") as f:
            f.writelines(f"{name} = {value}\n" for name, value in values.items())
        self.fetchd = Fetchd(f"{self.folder}/deposit.sock") if fetchd else None
        self.environment = {"TSAN_OPTIONS": f"suppressions={SOURCE}/tests/tsan.milter.supp"} | os.environ | (env or {})
        self.process = None
        self.end_by_term = end_by_term

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, *_):
        status, text = self.stop(), self.log_text()
        if kind is None and (status not in (0, -signal.SIGKILL) or "Sanitizer" in text):
            raise BedError(f"restante-milter ended with {status}: {text[-3000:]}")
        if self.fetchd:
            self.fetchd.close()
        if kind is None:
            subprocess.run(["rm", "-rf", self.folder], check=True)

    def start(self, *, clean=True):
        """clean: what a killed one left is removed first, so that it does not look like a new one's."""
        if clean and os.path.exists(self.path):
            os.unlink(self.path)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([find_milter(), "-c", self.conf], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, env=self.environment)
        def serves():
            if self.process.poll() is not None:
                raise BedError(f"restante-milter ended with {self.process.returncode}: {self.log_text()}")
            return os.path.exists(self.path) and listens(self.path)
        wait_for("restante-milter to serve", serves, 20)

    def stop(self, *, term=None):
        """Ends it, by KILL unless it was to be by TERM (libmilter takes five seconds for that; leaks are looked for then)."""
        term = self.end_by_term if term is None else term
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM if term else signal.SIGKILL)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def session(self, **options):
        mta = Mta(self.path)
        mta.start(**options)
        return mta

    def log_text(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def wait_log(self, pattern, timeout=10):
        return wait_for(f"/{pattern}/ in the milter's log", lambda: re.search(pattern, self.log_text()), timeout)

    def memory(self):
        """Resident bytes."""
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")
