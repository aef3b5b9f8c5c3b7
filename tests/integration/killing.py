"""What the kill walks use: letters whose every copy and report is counted, the state of both sites at a glance, daemons that
die at a kill point.

Letters go from alice@a.test to users of b.test. The extension of the recipient's address says what shall become of the letter:
bob+later.7@b.test is put off twice by b's Postfix before it takes the letter, and so on (`Answers`). Nothing here sleeps for a
fixed time; everything is polled until both sites are at rest.
"""

import calendar
import collections
import contextlib
import glob
import itertools
import json
import os
import re
import signal
import socket
import socketserver
import threading
import time

from bedlib import netns
from bedlib.run import BedError, read, write
from harness import Failure, Refused, Smtp, check, letter, lf
from http2 import Client, tls_socket
from restante import Sink, bare_id, mail_records, stub_tags

SETTLE_S = 60  # a link host that died again and again is left alone for about as long as it was away
DAY_S = 86400
LIVE = ("waiting", "held", "challenged", "leased", "lapsed")
OPEN = ("waiting", "delivered", "refused")
_numbers = itertools.count(1)


# --- what Postfix answers

class Answers:
    """A lookup service (socketmap) for check_recipient_access at a's listener for stubs and b's listener for letters: the
    word after "+" in the address decides."""

    PORT = 10099

    def __init__(self, site, table):
        answers = self
        self.table, self.tries, self.lock = table, collections.Counter(), threading.Lock()

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                while (length := self._length()) is not None:
                    _, _, key = self.rfile.read(length).decode().partition(" ")
                    self.rfile.read(1)
                    said = answers.answer(key).encode()
                    self.wfile.write(b"%d:%s," % (len(said), said))

            def _length(self):
                digits = b""
                while (c := self.rfile.read(1)) not in (b":", b""):
                    digits += c
                return int(digits) if c else None

        with site.inside():
            self.server = socketserver.ThreadingTCPServer(("127.0.0.1", self.PORT), Handler, bind_and_activate=False)
            self.server.allow_reuse_address = self.server.daemon_threads = True
            self.server.request_queue_size = 200  # all of a restarted Postfix asks at once
            self.server.server_bind()
            self.server.server_activate()
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, key):
        found = re.fullmatch(r"[^+@]+\+([a-z]+)[^@]*@.*", key)
        word = found.group(1) if found else ""
        if word not in self.table:
            return "NOTFOUND "
        text, times = self.table[word]
        with self.lock:
            self.tries[key] += 1
            return f"OK {text}" if self.tries[key] <= times else "NOTFOUND "

    def close(self):
        self.server.shutdown()
        self.server.server_close()


AT_LETTERS_IN = {"refuse": ("550 5.7.1 not this one", 1000), "later": ("450 4.2.0 not now", 2)}
AT_STUBS_OUT = {"stubrefuse": ("550 5.7.1 no such stub", 1000), "stublater": ("450 4.2.0 not now", 2),
                "stubnever": ("450 4.2.0 never", 10 ** 9)}


@contextlib.contextmanager
def asked(site, listener, table):
    """The listener of the site's Postfix asks `Answers` about recipients."""
    path = f"{site.mta.conf}/master.cf"
    before = read(path)
    head, block, rest = re.fullmatch(rf"(?s)(.*)(^{re.escape(listener)} .*?)((?=^\S).*|)", before, re.M).groups()
    line = re.search(r"(?m)^\s*-o smtpd_recipient_restrictions=(.*)\n", block)
    ask = f"check_recipient_access socketmap:inet:127.0.0.1:{Answers.PORT}:x"
    new = f"  -o {{ smtpd_recipient_restrictions = {', '.join(filter(None, (ask, line.group(1).strip())))} }}\n"
    answers = Answers(site, table)
    try:
        write(path, head + block.replace(line.group(0), new) + rest)
        site.mta.postconf()
        yield
    finally:
        write(path, before)
        site.mta.postconf()
        answers.close()


# --- the state of a site at a glance

class Admin:
    """`GET /1/status` over admin.sock on a kept connection: as restantectl asks, without a process for each look."""

    def __init__(self, site):
        self.path, self.client, self.lock = f"{site.daemons.run}/admin.sock", None, threading.Lock()

    def status(self):
        """The counts, or None while fetchd does not answer."""
        return self._ask() or self._ask()  # the connection may be to one that has died

    def _ask(self):
        with self.lock:
            try:
                if self.client is None or self.client.over:
                    connection = socket.socket(socket.AF_UNIX)
                    connection.settimeout(5)
                    connection.connect(self.path)
                    self.client = Client(connection, "localhost")
                answer = self.client.request("GET", "/1/status", timeout=5)
                if answer.status == 200:
                    return json.loads(answer.body)["status"][0]
            except (OSError, ValueError, AssertionError):
                pass
            if self.client is not None:
                self.client.socket.close()
            self.client = None
            return None


def in_queue(site):
    """(files of mail that Postfix is busy with, files that it has put off). A file that is not executable is not complete:
    whoever writes it has the letter still, or Postfix was killed and will throw it away some day."""
    found = 0
    for name in ("maildrop", "incoming", "active"):
        for entry in os.scandir(f"{site.mta.queue}/{name}"):
            with contextlib.suppress(FileNotFoundError):
                found += bool(entry.stat().st_mode & 0o100)
    return found, sum(len(files) for _, _, files in os.walk(f"{site.mta.queue}/deferred"))


def payload_files(site):
    return [path for path in glob.glob(f"{site.daemons.lib}/payload*/**", recursive=True) if os.path.isfile(path)]


# --- letters

class Post:
    """A letter, and what shall become of it.

    recipients: {address: "delivered" | "failed"}. success: whether reports of delivery were asked for. follow(walk, post):
    what the test does once the client has its 250; .taken is true after that.
    """

    def __init__(self, recipients, *, size=70, success=False, follow=None):
        self.recipients, self.success, self.follow = recipients, success, follow
        body = os.urandom((size + 1) // 2).hex().encode()
        self.raw = letter(to=", ".join(recipients), body=b"\r\n".join(body[i:i + 70] for i in range(0, len(body), 70)) + b"\r\n")
        self.id = bare_id(self.raw)
        self.taken, self.tries, self.error = False, 0, None

    def submit(self, walk, limit):
        """As a client's MTA would: the same letter again until it is taken."""
        rcpt = "NOTIFY=SUCCESS,FAILURE" if self.success else ""
        end = time.monotonic() + limit
        while time.monotonic() < end:
            self.tries += 1
            try:
                self.send(walk, rcpt)
                break
            except Refused as e:
                if e.code >= 500:
                    self.error = str(e)
                    return
            except OSError:
                pass
            time.sleep(0.03)
        else:
            self.error = f"not taken in {self.tries} tries"
            return
        try:
            if self.follow:
                self.follow(walk, self)
            self.taken = True
        except (Failure, BedError) as e:
            self.error = str(e)

    def send(self, walk, rcpt):
        with Smtp(walk.bed.a, timeout=40) as smtp:
            smtp.send("alice@a.test", list(self.recipients), self.raw, rcpt=rcpt)

    def reports(self, address):
        """How many reports of this recipient the sender shall get."""
        return 1 if self.recipients[address] == "failed" or self.success else 0


class Kept(Post):
    """Comes to b from a host that knows nothing of Restante, to mailboxes that keep such mail, and is let in afterwards."""

    def __init__(self):
        self.sender = f"eve.{next(_numbers)}@x.test"
        super().__init__({address("kept", user): "delivered" for user in ("carol", "dave")}, size=100_000,
                         follow=lambda walk, post: post.say(walk, "allow", self.sender))

    def mailboxes(self):
        return [f"{to.partition('+')[0]}@b.test" for to in self.recipients]

    def say(self, walk, word, *arguments):
        """restantectl, until fetchd is there to hear it."""
        for mailbox in self.mailboxes():
            check(walk.wait(lambda: walk.bed.b.daemons.restantectl(word, mailbox, *arguments, check=False).returncode == 0),
                  f"restantectl {word} {mailbox} fails")

    def submit(self, walk, limit):
        try:
            self.say(walk, "policy", "--legacy", "attempt")
        except Failure as e:
            self.error = str(e)
            return
        super().submit(walk, limit)

    def send(self, walk, _):
        with Smtp(walk.bed.x, to=walk.bed.b.address, timeout=40) as smtp:
            smtp.send(self.sender, list(self.recipients), self.raw)


class Held(Kept):
    """A stub to a mailbox that knows nobody: its letter waits at a until the sender is let in, once a was told."""

    def __init__(self):
        self.sender = f"eve.{next(_numbers)}@a.test"
        Post.__init__(self, {address("held", "dave"): "delivered"}, follow=lambda walk, post: post.let_in(walk))
        self.raw = re.sub(rb"(?m)^From: .*?\r$", f"From: {self.sender}\r".encode(), self.raw, count=1)

    def submit(self, walk, limit):
        self.say(walk, "policy", "known")
        Post.submit(self, walk, limit)

    def send(self, walk, rcpt):
        with Smtp(walk.bed.a, timeout=40) as smtp:
            smtp.send(self.sender, list(self.recipients), self.raw, rcpt=rcpt)

    def told(self, walk):
        walk.flush()
        done = walk.bed.b.daemons.restantectl("attempts", "dave@b.test", "--json", check=False)
        return done.returncode == 0 and any(row["sender"] == self.sender and "certificate_issuer" in row
                                            for row in json.loads(done.stdout)["attempts"])

    def let_in(self, walk):
        check(walk.wait(lambda: self.told(walk)), f"{self.sender} is not seen at b, or a was not told")
        self.say(walk, "allow", self.sender)
        self.say(walk, "policy", "default")


class Recalled(Held):
    """Held, and then its sender has a word on it: `restantectl` at a, again and again until it is heard; after that it is let
    in."""

    def let_in(self, walk):
        check(walk.wait(lambda: self.told(walk)), f"{self.sender} is not seen at b, or a was not told")
        self.recall(walk)
        self.say(walk, "allow", self.sender)
        self.say(walk, "policy", "default")

    def ask(self, walk, word, *arguments, **options):
        return walk.bed.a.daemons.restantectl(word, "--message-id", self.id, *arguments, check=False, **options).returncode

    def insist(self, walk, word, *arguments, **options):
        check(walk.wait(lambda: self.ask(walk, word, *arguments, **options) == 0), f"<{self.id}>: {word} is not done")


class Retracted(Recalled):
    """What was answered as taken back comes to nobody, and b forgets it."""

    def __init__(self):
        super().__init__()
        self.recipients = dict.fromkeys(self.recipients, "retracted")

    def recall(self, walk):
        self.insist(walk, "retract")


class Replaced(Recalled):
    """What was answered as replaced is what comes."""

    def recall(self, walk):
        new = self.raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\nAnother text.\r\n" * 20
        self.insist(walk, "replace", "-", input=new)
        self.raw = new


class OnHold(Recalled):
    """What is on hold is not taken back, and comes once it is called for."""

    def recall(self, walk):
        self.insist(walk, "hold")
        check(walk.wait(walk.admin["a"].status), "fetchd does not answer")
        check(self.ask(walk, "retract") != 0, "what is on hold was taken back")
        self.insist(walk, "release")


class SentPlain(Post):
    """Lies at a; then its domain takes no stubs any more, and it goes plain to the test at x when its turn comes to be told of
    again. It comes twice where a died right after the MTA's 250."""

    def __init__(self):
        self.domain = f"plain{next(_numbers)}.test"
        super().__init__({f"bob@{self.domain}": "plain"}, follow=lambda walk, post: post.leave(walk))

    def submit(self, walk, limit):
        walk.stack.callback(walk.bed.dns.remove, self.domain)
        self.say(walk, "r=1")
        super().submit(walk, limit)

    def say(self, walk, extra):
        """What DNS says of the domain from now on."""
        designation = f"v=restante1; h=pull.{self.domain}; {extra}"
        walk.bed.dns.zone(self.domain, mail_records(walk.bed.x.address, designation, ttl=1))
        time.sleep(1.2)  # what fetchd has cached ends

    def came(self, walk):
        return [mail.raw for mail in list(walk.trap.mails) if mail.recipients[0][0] in self.recipients]

    def leave(self, walk):
        check(walk.wait(lambda: self.came(walk)), f"no stub of <{self.id}>")
        self.say(walk, "r=0")
        walk.move_clock(walk.shift + 3 * 3600)
        check(walk.wait(lambda: any(lf(raw).endswith(lf(self.raw)) for raw in self.came(walk))), f"<{self.id}> is lost")


def address(word, user="bob", domain="b.test"):
    return f"{user}+{word}.{next(_numbers)}@{domain}"


def small():
    return Post({address("w"): "delivered"}, success=True)


def plain_small():
    return Post({address("w"): "delivered"})


def large():
    return Post({address("w"): "delivered"}, size=200_000)


def several():
    return Post({address("w", user): "delivered" for user in ("bob", "carol", "dave")}, size=30_000)


def mixed():
    return Post({address("w"): "delivered", "bob@c.test": "delivered", "carol@a.test": "delivered"})


def refused():
    return Post({address("refuse"): "failed"})


def put_off():
    return Post({address("later"): "delivered"})


def unknown():
    return Post({address("w", "nobody"): "failed"})


def stub_refused():
    return Post({address("stubrefuse"): "failed"})


def stub_put_off():
    return Post({address("stublater"): "delivered"})


def expired():
    """Nobody hears of it until its time is over."""
    return Post({address("stubnever"): "failed"}, follow=lambda walk, post: walk.move_clock(walk.shift + 11 * DAY_S))


def remembered():
    """Delivered, and then so much time goes by that nobody needs to know of it any more."""
    def follow(walk, _):
        check(walk.wait(lambda: walk.quiet(walk.bed.a)), "a does not come to rest")
        walk.move_clock(walk.shift + 45 * DAY_S)
        check(walk.wait(walk.nothing_known), "old tickets and jobs are not forgotten")
    return Post({address("w"): "delivered"}, follow=follow)


def held():
    """Its stub comes to the test, which says that the letter is held, calls for it, calls for a part of it, and refuses it."""
    return Post({address("w", "trap"): "failed"}, size=100_000,
                follow=lambda walk, post: walk.call_for(post, "status", "claim", "resume", "nack"))


# --- the walk

class Walk:
    """Both sites made ready for killing, and the letters under way."""

    def __init__(self, bed):
        self.bed, self.stack = bed, contextlib.ExitStack()
        self.sites = (bed.a, bed.b)
        self.admin = {site.name: Admin(site) for site in self.sites}
        self.posts, self.flushed, self.shift = [], 0, 0
        self.trap = None

    def open(self):
        try:
            self._open()
        except BaseException:
            self.stack.close()
            raise
        return self

    def _open(self):
        bed = self.bed
        for site in self.sites:
            site.daemons.configure(retry_min="1s", retry_max="2s", outbox_retry_min="1s", outbox_retry_max="2s",
                                   retention="10d", attempts_keep="10d",
                                   journal="abuse@a.test" if site is bed.a else None)
            self.stack.callback(site.daemons.configure)
        self.stack.enter_context(asked(bed.a, "127.0.0.1:10026", AT_STUBS_OUT))
        self.stack.enter_context(asked(bed.b, "127.0.0.1:10025", AT_LETTERS_IN))
        before = bed.a.mta.postconf(
            transport_maps=f"inline:{{ {{ trap@b.test = smtp:[{bed.x.address}] }} }}, {bed.a.mta.main['transport_maps']}")
        self.stack.callback(lambda: bed.a.mta.postconf(**before))
        self.trap = self.stack.enter_context(Sink(bed.x))
        for user in ("carol", "dave"):
            self.stack.callback(bed.b.daemons.restantectl, "policy", f"{user}@b.test", "--legacy", "default", check=False)
        for site in self.sites:
            for name in ("fetchd", "milter"):
                site.daemons.stop_one(name, grace=0)
                site.daemons.start_one(name)
        self.begin()

    def close(self):
        """The bed as it was: graceful stops, so that leaks are found too."""
        for site in self.sites:
            if not site.mta.running():
                site.mta.start()
        self.stack.close()
        for site in self.sites:
            for name in ("fetchd", "milter"):
                site.daemons.stop_one(name)
        self.move_clock(0)
        for site in self.sites:
            site.daemons.start()

    def begin(self):
        """A new count. What an earlier one left behind is cleared away, so that each stands for itself."""
        for site in self.bed.sites():
            if not site.mta.running():
                site.mta.start()
        for site in self.sites:
            for name in ("fetchd", "milter"):
                if not site.daemons.pid(name):
                    site.daemons.stop_one(name, grace=0)
                    site.daemons.start_one(name)
        self.posts = []
        end = time.monotonic() + 3
        while not self.at_rest() and time.monotonic() < end:
            time.sleep(0.05)
        if not self.at_rest():
            self._clear()
        self.seen = {(site.name, user): set(site.mta.letters(user)) for site in self.bed.sites() for user in
                     ("alice", "bob", "carol", "dave", "postmaster", "abuse")}
        self.log_start = {path: os.path.getsize(path) for path in self._logs()}

    def _clear(self):
        for site in self.sites:
            site.daemons.stop_one("fetchd", grace=0)
            site.exec(["find", site.daemons.lib, "-mindepth", "1", "-delete"])
        for site in self.bed.sites():
            netns.execute(site.ns, ["postsuper", "-c", site.mta.conf, "-d", "ALL"], check=False)
        for site in self.sites:
            site.daemons.start_one("fetchd")

    def _logs(self):
        return [path for site in self.sites for path in (site.daemons.log_file("fetchd"), site.daemons.log_file("milter"),
                                                         site.mta.log)]

    def post(self, one, limit=SETTLE_S):
        """Submits a letter, in the background."""
        self.posts.append(one)
        threading.Thread(target=one.submit, args=(self, limit), daemon=True).start()
        return one

    def move_clock(self, seconds):
        """The wall clock of the daemons at both sites. Waits until those that run have seen it."""
        self.shift = seconds
        for site in self.sites:
            site.daemons.shift_clock(seconds)

        def seen():
            want = time.time() + seconds
            for counts in (self.admin[site.name].status() for site in self.sites):
                if counts and abs(calendar.timegm(time.strptime(counts["now"], "%Y-%m-%dT%H:%M:%SZ")) - want) > 10:
                    return False
            return True
        check(self.wait(seen, 10), "the clock is not moved")

    # --- rest

    def at_rest(self):
        """Nothing is under way anywhere. The queues are looked at before and after: what leaves one arrives in the other."""
        return all(one.taken or one.error for one in self.posts) and self._queues_empty() and \
            all(self.quiet(site) for site in self.sites) and self._queues_empty()

    def flush(self):
        """What Postfix has put off is tried again now."""
        self._queues_empty()

    def _queues_empty(self):
        counts = [(site, *in_queue(site)) for site in self.bed.sites()]
        now = time.monotonic()
        if any(deferred for _, _, deferred in counts) and now - self.flushed > 0.3:
            self.flushed = now
            for site, _, deferred in counts:
                if deferred and site.mta.running():
                    site.mta.flush()
        return not any(busy or deferred for _, busy, deferred in counts)

    def quiet(self, site):
        counts = self.admin[site.name].status()
        return counts is not None and not any(counts[f"tickets_{state}"] for state in LIVE) and \
            not any(counts[f"jobs_{state}"] for state in OPEN) and not counts["outbox"] and not counts["payloads"]

    def nothing_known(self):
        """No ticket and no job is remembered at either site."""
        counts = [self.admin[site.name].status() for site in self.sites]
        return all(counts) and not any(value for one in counts for name, value in one.items()
                                       if name.startswith(("tickets_", "jobs_")))

    def wait(self, over, limit=SETTLE_S):
        """Polls until over(); whether that came true in time."""
        end = time.monotonic() + limit
        while not over():
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True

    # --- counting

    def new(self, site, user):
        found = []
        for path in site.mta.letters(user):
            if path not in self.seen[(site.name, user)]:
                with open(path, "rb") as f:
                    found.append(f.read())
        return found

    def count(self, *, double_letters=False, double_reports=False, own_doubles=False):
        """Fails unless every letter came once to each recipient and was reported as it should be, and nothing is left in the
        stores. double_letters, double_reports: what a kill may have doubled. own_doubles: Postfix itself was killed, and may
        have delivered what it had taken once a second time."""
        problems = []
        if not self.wait(self.at_rest):
            problems.append(self.unrest())
        boxes = {(site.name, user): self.new(site, user) for site in self.bed.sites() for user in ("bob", "carol", "dave")}
        reports, archive = self.new(self.bed.a, "alice"), self.new(self.bed.a, "abuse")
        marked = set(re.findall(r"status=delivered \(250 [^)]*queued as (\w+)", self.log_text(self.bed.b)))
        doubled = 0
        for one in self.posts:
            if one.error:
                problems.append(f"<{one.id}> was not taken: {one.error}")
                continue
            if type(one) is Post and any(to.endswith("@b.test") for to in one.recipients) and \
                    not any(raw.endswith(lf(one.raw)) for raw in archive):
                problems.append(f"the archive has no copy of <{one.id}>")
            for to, outcome in one.recipients.items():
                doubled += self._count_copies(one, to, outcome, boxes, marked, double_letters, own_doubles, problems)
                doubled += self._count_reports(one, to, reports, double_reports, problems)
        known = sum(len(found) for found in boxes.values())
        ours = sum(1 for found in boxes.values() for raw in found if any(one.id.encode() in raw for one in self.posts))
        if known != ours:
            problems.append(f"{known - ours} letters that nobody sent")
        for site in self.sites:
            self.wait(lambda: not payload_files(site), 5)  # the last goes right after its record
            if payload_files(site):
                problems.append(f"payload files at {site.name}: {payload_files(site)}")
        if problems:
            self.fail("; ".join(problems))
        return doubled

    def _count_copies(self, one, to, outcome, boxes, marked, double_letters, own_doubles, problems):
        user, _, domain = to.partition("@")
        key = (domain[0], user.partition("+")[0])
        copies = [raw for raw in boxes.get(key, []) if one.id.encode() in raw.partition(b"\n\n")[0]]
        want = 1 if outcome == "delivered" else 0
        for raw in copies:
            if not raw.endswith(lf(one.raw)):
                problems.append(f"<{one.id}> to <{to}> is not what was sent")
        if len(copies) == want:
            return 0
        if len(copies) < want:
            problems.append(f"<{one.id}> to <{to}> is lost")
            return 0
        ids = [re.search(rb"\(Postfix\)[^;]*?id (\w+)", raw).group(1).decode() for raw in copies]
        if own_doubles:
            ids = list(dict.fromkeys(ids))
        known = [i for i in ids if i in marked]
        if want and len(ids) > 1 and not double_letters or not want or len(known) > 1:
            problems.append(f"<{one.id}> to <{to}> came {len(copies)} times: as {', '.join(ids)}, of which "
                            f"{', '.join(known) or 'none'} marked as done")
        return len(copies) - want

    def _count_reports(self, one, to, reports, double_reports, problems):
        copies = [raw for raw in reports if one.id.encode() in raw and re.search(
            rb"(?im)^(?:final|original)-recipient:.*" + re.escape(to.encode()), raw)]
        want = one.reports(to)
        if len(copies) == want:
            return 0
        if len(copies) < want or not want or not double_reports:
            problems.append(f"<{one.id}> to <{to}>: {len(copies)} reports instead of {want}")
        return len(copies) - want

    def unrest(self):
        """What keeps the sites from being at rest."""
        what = ["no rest:"]
        for site in self.sites:
            counts = self.admin[site.name].status()
            what.append(f"{site.name}: " + ("fetchd does not answer" if counts is None else ", ".join(
                f"{name} {value}" for name, value in counts.items() if value and isinstance(value, int) and
                re.fullmatch(rf"tickets_({'|'.join(LIVE)})|jobs_({'|'.join(OPEN)})|outbox|payloads", name))))
        what += [f"queue at {site.name}: {in_queue(site)}" for site in self.bed.sites() if sum(in_queue(site))]
        what += [f"<{one.id}> not taken yet after {one.tries} tries" for one in self.posts if not one.taken and not one.error]
        return " ".join(what)

    def log_text(self, site, path=None):
        path = path or site.daemons.log_file("fetchd")
        with open(path, "rb") as f:
            f.seek(self.log_start.get(path, 0))
            return f.read().decode(errors="replace")

    def fail(self, text):
        """With the ends of all logs."""
        lines = []
        for path in self._logs():
            lines += [f"--- {path}"] + self.log_text(None, path).splitlines()[-12:]
        print("\n".join(lines))
        raise Failure(text)

    # --- a daemon that dies

    def start_to_die(self, site, name, point, nth):
        """Starts a daemon that kills itself at a point. It may do so before it serves."""
        site.daemons.stop_one(name, grace=0)
        try:
            site.daemons.start_one(name, env={"RESTANTE_KILL": f"{point}:{nth}"})
        except BedError:
            if not self.has_died(site, name):
                raise

    @staticmethod
    def has_died(site, name):
        """Whether it died by its own hand; any other end is a failure."""
        child = site.daemons.children[name]
        if child.poll() is None:
            return False
        check(child.returncode == -signal.SIGKILL, f"{name} at {site.name} ended with status {child.returncode}")
        return True

    def restart(self, site, name):
        site.daemons.stop_one(name, grace=0)
        site.daemons.start_one(name)

    # --- a puller of the test's own

    def call_for(self, one, *verbs, limit=SETTLE_S):
        """The stub of a letter to trap@ is answered by the test at b's place, each request again until it is answered: "status",
        "claim", "resume", "nack"."""
        end = time.monotonic() + limit
        to = next(iter(one.recipients))

        def stub():
            return next((mail for mail in list(self.trap.mails) if mail.recipients[0][0] == to), None)
        check(self.wait(stub, limit), f"no stub for <{to}>")
        tags = stub_tags(stub().raw)
        path = tags["u"].partition("pull.a.test")[2]
        head = {"authorization": f"Restante {tags['a']}", "restante-lease": "A" * 22}
        requests = {
            "status": ("POST", path + "/status", {"restante-status": "held"}, 204),
            "claim": ("POST", path + "/claim", {"restante-sender": "alice@a.test", "restante-recipient": to,
                                                "restante-from": "alice@a.test"}, 200),
            "resume": ("GET", path, {"range": "bytes=1000-1999"}, 206),
            "nack": ("POST", path + "/nack", {"restante-reason": "denied"}, 204),
        }
        for verb in verbs:
            method, where, fields, want = requests[verb]
            got = None
            while got != want:
                check(time.monotonic() < end, f"{verb}: {got}")
                try:
                    with Client(tls_socket(self.bed.b, self.bed.a.address, "pull.a.test", timeout=5), "pull.a.test") as client:
                        got = client.request(method, where, head | fields, timeout=5).status
                except OSError as e:
                    got = e
                    time.sleep(0.03)
