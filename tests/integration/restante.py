"""What the cases of Restante itself use: the store as restantectl shows it, stubs, changed configuration, and an SMTP sink
that stands for other people's mail servers.
"""

import contextlib
import copy
import email
import email.policy
import json
import re
import socket
import threading

from harness import Failure, Log, check, equal, lf, wait_for

ENDED = ("delivered", "refused", "retracted", "expired", "bounced", "plain", "unconfirmed")


# --- the store, as restantectl shows it

def _rows(site, name, *arguments):
    done = site.daemons.restantectl(*arguments, "--json")
    return json.loads(done.stdout)[name]


def status(site):
    """`restantectl status` as a dict."""
    return _rows(site, "status", "status")[0]


def tickets(site, **filters):
    """Tickets by sender=, recipient=, state=, queue_id=, message_id=."""
    options = [word for name, value in filters.items() for word in (f"--{name.replace('_', '-')}", value)]
    return _rows(site, "tickets", "tickets", *options)


def jobs(site, **filters):
    """Pull jobs by state=; any other name is compared here."""
    state = filters.pop("state", None)
    found = _rows(site, "jobs", "jobs", *(["--state", state] if state else []), "--limit", "100000")
    return [job for job in found if all(job.get(name) == value for name, value in filters.items())]


def ticket(site, raw, recipient=None):
    """The one ticket of a letter (by its Message-ID)."""
    found = tickets(site, **{"message_id": bare_id(raw)} | ({"recipient": recipient} if recipient else {}))
    equal(len(found), 1, f"tickets of {bare_id(raw)}")
    return found[0]


def wait_ticket(site, raw, state, recipient=None, timeout=20):
    """Waits until a letter's ticket has the state; returns it."""
    last = []

    def there():
        last[:] = [ticket(site, raw, recipient)]
        return last[0] if last[0]["state"] == state else None
    try:
        return wait_for(f"a ticket to be {state}", there, timeout, 0.1)
    except Exception as e:
        raise Failure(f"{e}; it is {last}") from e


def bare_id(raw):
    return re.search(rb"(?im)^message-id:\s*<([^>]*)>", raw).group(1).decode()


def payload_files(site):
    """Names of the payload files in the store."""
    out = site.exec(["find", site.daemons.lib, "-type", "f", "-path", "*payload*"]).stdout.decode()
    return out.split()


def found_in_store(site, text):
    """Files of the data directory that contain the octets."""
    done = site.exec(["grep", "-rlaF", "--", text.decode(), site.daemons.lib], check=False)
    return done.stdout.decode().split()


# --- changed configuration, given back afterwards

@contextlib.contextmanager
def configured(site, **changes):
    """fetchd of the site runs with other parameters in restante.conf."""
    site.daemons.configure(**changes)
    site.daemons.restart("fetchd")
    try:
        yield
    finally:
        site.daemons.configure()
        site.daemons.restart("fetchd")


@contextlib.contextmanager
def table(site, *lines):
    """The administrator's table (/etc/restante/domains) has these lines."""
    path = f"{site.daemons.etc}/domains"
    try:
        with open(path, "w", encoding="utf-8") as f:
            f.write("".join(line + "\n" for line in lines))
        site.daemons.restart("fetchd")
        yield
    finally:
        with open(path, "w", encoding="utf-8"):
            pass
        site.daemons.restart("fetchd")


@contextlib.contextmanager
def main_cf(site, **parameters):
    """Postfix of the site runs with other main.cf parameters (None takes one out)."""
    before = site.mta.postconf(**parameters)
    try:
        yield
    finally:
        site.mta.postconf(**before)


@contextlib.contextmanager
def master_cf(site, service, *options):
    """A service in master.cf has further options ("-o name=value")."""
    path = f"{site.mta.conf}/master.cf"
    with open(path, encoding="utf-8") as f:
        before = f.read()
    head = re.search(rf"(?m)^{re.escape(service)}.*\n(?:[ \t].*\n)*", before).group(0)  # of equal options the last counts
    try:
        _write_master(site, path, before.replace(head, head + "".join(f"  {option}\n" for option in options)))
        yield
    finally:
        _write_master(site, path, before)


@contextlib.contextmanager
def letters_in(site, *options):
    """The listener for letters called for runs with further options. fetchd keeps its connections there, and what serves
    them keeps its configuration: so fetchd is restarted."""
    with master_cf(site, "127.0.0.1:10025", *options):
        site.daemons.restart("fetchd")
        yield
    site.daemons.restart("fetchd")


def answered_at_rcpt(site, recipient, answer):
    """The listener for letters called for answers a recipient like this ("450 4.2.0 later")."""
    return letters_in(site, "-o { smtpd_recipient_restrictions = check_recipient_access inline:{ { "
                      f"{recipient} = {answer} }} }}, reject_unauth_destination }}")


def _write_master(site, path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    site.mta.postconf()


@contextlib.contextmanager
def stopped(site, name):
    """A daemon of the site is away ("fetchd", "milter")."""
    site.daemons.stop_one(name)
    try:
        yield
    finally:
        if not site.daemons.pid(name):
            site.daemons.start_one(name)


@contextlib.contextmanager
def zones(bed, **records):
    """Further zones below .test: zones(bed, evil=[...]) makes evil.test."""
    names = {f"{name}.test": lines for name, lines in records.items()}
    bed.dns.zones(names)
    try:
        yield
    finally:
        for name in names:
            bed.dns.remove(name)


def mail_records(address, designation=None, ttl=60):
    """The records of a mail domain whose MX is at an address."""
    records = ["@ MX 10 mx", f"mx A {address}", '@ TXT "v=spf1 mx -all"']
    return records + ([f'_restante {ttl} TXT "{designation}"'] if designation else [])


# --- an SMTP server of a test's own

class Mail:
    """What came in: .sender, .mail (its parameters), .recipients [(address, parameters)], .raw, .peer."""

    def __init__(self, peer):
        self.peer, self.sender, self.mail, self.recipients, self.raw = peer, None, "", [], b""


class Sink:
    """An SMTP server at a host of the bed that keeps what it gets. A context manager.

    answer(stage, mail): an answer to give instead of the usual one ("550 5.1.1 no"), or None; stage is "MAIL", "RCPT", or
    "DATA" (after the letter). An answer "" closes the connection without a word.
    """

    def __init__(self, site, answer=lambda stage, mail: None, *, port=25):
        self.site, self.answer, self.port = site, answer, port
        self.mails, self.lock = [], threading.Lock()

    def __enter__(self):
        with self.site.inside():
            self.listener = socket.create_server(("0.0.0.0", self.port), backlog=100)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self):
        while True:
            try:
                connection, peer = self.listener.accept()
            except OSError:
                return
            connection.settimeout(60)
            threading.Thread(target=self._serve, args=(connection, peer), daemon=True).start()

    def _serve(self, connection, peer):
        file = connection.makefile("rb")

        def say(text):
            connection.sendall(text.encode() + b"\r\n")

        with contextlib.suppress(OSError, ConnectionError), connection:
            say("220 sink ESMTP")
            mail = Mail(peer[0])
            while line := file.readline():
                verb, _, rest = line.rstrip(b"\r\n").decode(errors="surrogateescape").partition(" ")
                verb = verb.upper()
                if verb == "EHLO":
                    say("250-sink\r\n250-PIPELINING\r\n250-SIZE 209715200\r\n250-8BITMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n"
                        "250 ENHANCEDSTATUSCODES")
                elif verb in ("MAIL", "RCPT"):
                    address, parameters = re.fullmatch(r"(?i)(?:FROM|TO):\s*<(.*?)>\s*(.*)", rest).groups()
                    if verb == "MAIL":
                        mail = Mail(peer[0])
                        mail.sender, mail.mail = address, parameters
                    said = self.answer(verb, mail) if verb == "MAIL" else None
                    if verb == "RCPT":
                        mail.recipients.append((address, parameters))
                        said = self.answer(verb, mail)
                        if said is not None:
                            mail.recipients.pop()
                    if said == "":
                        return
                    say(said or "250 2.1.0 Ok")
                elif verb == "DATA":
                    if not mail.recipients:
                        say("554 5.5.1 no valid recipients")
                        continue
                    say("354 go on")
                    lines = []
                    while (line := file.readline()) not in (b".\r\n", b""):
                        lines.append(line[1:] if line.startswith(b".") else line)
                    if not line:
                        return
                    mail.raw = b"".join(lines)
                    said = self.answer("DATA", mail)
                    if said is None or said.startswith("2"):
                        with self.lock:
                            self.mails.append(mail)
                    if said == "":
                        return
                    say(said or "250 2.0.0 Ok")
                    mail = Mail(peer[0])
                elif verb == "QUIT":
                    say("221 2.0.0 bye")
                    return
                else:
                    say("250 2.0.0 Ok")

    def wait(self, count=1, timeout=20):
        """Waits for at least `count` mails; returns all of them."""
        return wait_for(f"{count} mail(s) at the sink", lambda: copy.copy(self.mails) if len(self.mails) >= count else None,
                        timeout, 0.05)

    def one(self, timeout=20):
        found = self.wait(1, timeout)
        equal(len(found), 1, "mails at the sink")
        return found[0]


@contextlib.contextmanager
def caught(bed, *domains, answer=lambda stage, mail: None):
    """What a sends to these domains goes to a sink at x instead of their MX: so a test gets hold of real stubs, and mail
    flows while DNS does not."""
    lines = ", ".join(f"{domain}=smtp:[{bed.x.address}]" for domain in domains)
    with Sink(bed.x, answer) as sink:
        with main_cf(bed.a, transport_maps=f"{bed.a.mta.main['transport_maps']}, inline:{{ {lines} }}"):
            yield sink


# --- stubs

def stub_field(raw):
    """The value of the Restante-Stub field of a message, unfolded, or None."""
    found = re.search(rb"(?ims)^restante-stub:[ \t]*(.*?)(?=\r?\n[^ \t])", raw)
    return re.sub(rb"\r?\n(?=[ \t])", b"", found.group(1)).decode() if found else None


def stub_tags(raw):
    """The tags of a stub as a dict."""
    value = stub_field(raw)
    check(value is not None, f"no stub: {raw[:500]!r}")
    return dict(re.split(r"\s*=\s*", tag.strip(), maxsplit=1) for tag in value.split(";") if tag.strip())


def a_stub(sender="eve@evil.test", to="bob@b.test", *, url=None, host="pull.evil.test", size=1000, expires=None, extra="",
           **tags):
    """A forged but well-formed stub message (CRLF)."""
    import base64
    import os
    import time

    def word(count):
        return base64.urlsafe_b64encode(os.urandom(count)).rstrip(b"=").decode()
    values = {"v": "1", "u": url or f"https://{host}/restante/1/{word(16)}/{word(16)}", "a": word(32), "d": word(32),
              "f": sender, "t": to, "s": str(size), "x": str(expires or int(time.time()) + 86400)} | tags
    value = "; ".join(f"{name}={text}" for name, text in values.items() if text is not None) + extra
    value = value.replace("; f=", ";\r\n  f=")
    return (f"From: <{sender}>\r\nTo: <{to}>\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{word(12)}@evil.test>\r\n"
            f"Restante-Stub: {value}\r\n\r\nA letter lies ready.\r\n").encode()


# --- delivered letters

def strip_trace(raw):
    """The letter under the trace fields that the delivering site put on top: Return-Path, X-Original-To, Delivered-To, its
    Received, and for a letter that was called for Received and Authentication-Results of Restante. LF line ends."""
    rest, trace = lf(raw), []
    for name in (b"Return-Path", b"X-Original-To", b"Delivered-To", b"Received", b"Received", b"Authentication-Results"):
        found = re.match(rb"(?i)" + name + rb":.*\n(?:[ \t].*\n)*", rest)
        if not found:
            continue
        if name == b"Received" and len([f for f in trace if f.startswith(b"Received")]) == 1 and \
                b"with RESTANTE" not in found.group(0):
            continue
        if name == b"Authentication-Results" and b"restante=pass" not in found.group(0):
            continue
        trace.append(found.group(0))
        rest = rest[found.end():]
    return rest


def dsn(raw):
    """A delivery report: (fields of the message part, list of fields of the recipient parts), names in lower case."""
    message = email.message_from_bytes(raw)
    equal(message.get_content_type(), "multipart/report", "type of the report")
    status_part = next(part for part in message.walk() if part.get_content_type() in
                       ("message/delivery-status", "message/global-delivery-status"))
    parts = status_part.get_payload()
    if status_part.get_content_type() == "message/global-delivery-status":  # which Python takes for any message
        rest = parts[0].get_payload(decode=True).decode()
        parts += [email.message_from_string(block, policy=email.policy.SMTPUTF8) for block in rest.split("\n\n")]
    blocks = [{name.lower(): " ".join(value.split()) for name, value in block.items()} for block in parts]
    return blocks[0], [block for block in blocks[1:] if block]


def fetchd_log(site):
    return Log(site.daemons.log_file("fetchd"))


def milter_log(site):
    return Log(site.daemons.log_file("milter"))
