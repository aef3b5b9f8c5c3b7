"""Site keys, as their administrator has them: rotated while letters wait, seen, refused when wrong, destroyed when nothing is left of
them; and what a thief of the disk finds without them."""

import base64
import binascii
import contextlib
import hmac
import os
import re
import shutil
import signal
import stat

from bedlib import netns
from bedlib.run import BedError
from harness import Box, check, equal, letter, mail_log, submit, wait_for
from owner import attempt, clean, ctl, do, policy, refused, rows, said
from puller import end, unb64, waiting
from restante import bare_id, caught, configured, fetchd_log, stopped, tickets, wait_ticket

NEEDS = ("restante",)
BOB = "bob@b.test"
ALICE = "alice@a.test"
DAVE = "dave@b.test"
DAY = 86400


def file_of(site):
    return f"{site.daemons.etc}/site.keys"


def text_of(site):
    with open(file_of(site), encoding="ascii") as f:
        return f.read()


def keys_in(text):
    """Epoch -> key in hex."""
    return {int(line.split()[0]): line.split()[1] for line in text.splitlines() if line and not line.startswith("#")}


def listed(site):
    return {row["epoch"]: row for row in rows(site, "key", "list")}


def current(site):
    return next(epoch for epoch, row in listed(site).items() if row["state"] == "current")


def rotate(site, *options):
    """restantectl key rotate with the site's own clock, as root; what it says."""
    clock = f"RESTANTE_CLOCK_FILE={site.daemons.etc}/clock"
    done = netns.execute(site.ns, ["env", clock, *site.daemons.restantectl_argv(), "key", "rotate", *options], check=False)
    equal(done.returncode, 0, f"key rotate: {said(done)}")
    return said(done)


def answering(site):
    """fetchd answers: its socket is there a moment before."""
    wait_for("restante-fetchd to answer", lambda: ctl(site, "status").returncode == 0, 20, 0.05)


def epoch_of(offer):
    return int.from_bytes(offer.a()[:2], "big")


@contextlib.contextmanager
def key_file(site, text):
    """The file of the site keys is this one, and the old one afterwards."""
    before, path = text_of(site), file_of(site)

    def put(content):
        with open(f"{path}.test", "w", encoding="ascii") as f:
            f.write(content)
        os.chmod(f"{path}.test", 0o400)
        os.chown(f"{path}.test", os.stat(path).st_uid, os.stat(path).st_gid)
        os.rename(f"{path}.test", path)
    put(text)
    try:
        yield
    finally:
        put(before)


# --- rotation

def test_rotated(bed):
    """A new key is added to the file, in use at once; the file keeps owner, mode and comments; no key is shown or logged."""
    before, old, log = os.stat(file_of(bed.a)), text_of(bed.a), fetchd_log(bed.a)
    epoch = current(bed.a)
    equal(epoch, max(keys_in(old)), "the current epoch")
    out = rotate(bed.a)
    after, new = os.stat(file_of(bed.a)), text_of(bed.a)
    equal((after.st_uid, after.st_gid, stat.S_IMODE(after.st_mode)), (before.st_uid, before.st_gid, stat.S_IMODE(before.st_mode)),
          "owner and mode")
    check(new.startswith(old) and len(new.splitlines()) == len(old.splitlines()) + 1, "the file's other lines")
    check(re.fullmatch(r"\d+ [0-9a-f]{64} \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", new.splitlines()[-1]), "the new line")
    equal([name for name in os.listdir(bed.a.daemons.etc) if name.startswith("site.keys.")], [], "leftovers")
    equal(max(keys_in(new)), epoch + 1, "the new epoch")
    check(f"epoch {epoch + 1}, in use from now on" in out, f"key rotate says {out}")
    log.wait(rf"site keys read again: epoch {epoch + 1} is the current one")
    seen = listed(bed.a)
    equal((seen[epoch + 1]["state"], seen[epoch]["state"]), ("current", "in use"), "states")
    check("until" in seen[epoch] and re.fullmatch("[0-9a-f]{16}", seen[epoch]["fingerprint"]), f"the old one: {seen[epoch]}")
    with waiting(bed, letter()) as offer:
        equal(epoch_of(offer), epoch + 1, "the epoch of a new letter")
    everything = out + do(bed.a, "key", "list") + do(bed.a, "key", "list", "--json") + log.text()
    for key in keys_in(new).values():
        check(key not in everything, "a key is shown")


def test_a_waiting_letter_outlives_a_rotation(bed):
    """Claimed after a rotation, and after a rotation and a restart; its stub's return path is still known."""
    with waiting(bed, letter(), letter(body=b"l" * 70 + b"\r\n" * 100_000)) as (small, large):
        old = epoch_of(small)
        rotate(bed.a)
        with small.client() as client:
            end(small.claim(client), 200, "claim after a rotation")
            end(small.ack(client), 204, "ack")
        rotate(bed.a)
        bed.a.daemons.restart("fetchd")
        with large.client() as client:
            end(large.head(client), 204, "HEAD after a restart")
            end(large.claim(client), 200, "claim after a restart")
            end(large.ack(client), 204, "ack")
        check(current(bed.a) >= old + 2, "the epoch did not change")


def test_a_whole_round_over_rotations(bed):
    """a and b rotate while letters go from one to the other."""
    box, raws = Box(bed.b, "bob"), []
    for site in (bed.a, bed.b, bed.a, bed.b):
        raws.append(letter())
        submit(bed.a, ALICE, [BOB], raws[-1])
        rotate(site)
    for raw in raws:
        wait_ticket(bed.a, raw, "delivered")
    equal(len(box.wait(4)), 4, "letters")


def test_a_held_letter_outlives_the_recipients_rotation(bed):
    """A contact attempt at b waits through b's rotation and restart: still seen, then allowed, and there. A whole message too."""
    with clean(bed.b, BOB), policy(bed.b, BOB, "known"):
        raw = letter()
        submit(bed.a, ALICE, [BOB], raw)
        attempt(bed.b, BOB, ALICE)
        log = fetchd_log(bed.b)
        rotate(bed.b)
        log.wait(r"rows of contact attempts sealed under the current site key")
        bed.b.daemons.restart("fetchd")
        equal(attempt(bed.b, BOB, ALICE)["verified"], "a.test", "the attempt")
        do(bed.b, "allow", BOB, ALICE)
        wait_ticket(bed.a, raw, "delivered")


# --- wrong files

def test_a_wrong_file_is_refused_while_running(bed):
    """Another key for a known epoch, a key missing, no key file at all: file and line are told, nothing changes, letters are
    served."""
    good, path = text_of(bed.a), file_of(bed.a)
    first = next(line for line in good.splitlines() if not line.startswith("#"))
    at = good.splitlines().index(first) + 1
    epoch, others = int(first.split()[0]), [line for line in good.splitlines() if not line.startswith("#")][1:]
    check(others, "one key alone: an earlier case rotates")
    wrong = good.replace(first.split()[1], "0" * 64)
    cases = (
        (wrong, 1, rf"{path}:{at}: the site key of epoch {epoch} is not the one that the store was made with"),
        ("\n".join(others) + "\n", 1, rf"{path}: the site key of epoch {epoch} is missing, and not retired"),
        (good + "x\n", 78, rf"{path}:{len(good.splitlines()) + 1}: expected an epoch"),
        ("# nothing\n", 78, rf"{path}:1: no key"),
    )
    with waiting(bed, letter()) as offer:
        for text, status, why in cases:
            with key_file(bed.a, text):
                check(re.search(why, refused(bed.a, "key", "rotate", status=status)),
                      f"rotate does not say {why}")
                equal(text_of(bed.a), text, "the file")
                log = fetchd_log(bed.a)
                os.kill(bed.a.daemons.pid("fetchd"), signal.SIGHUP)
                log.wait(rf"the old site keys stay: {why}")
        with offer.client() as client:
            end(offer.claim(client), 200, "claim")
            end(offer.ack(client), 204, "ack")
        os.kill(bed.a.daemons.pid("fetchd"), signal.SIGHUP)
        fetchd_log(bed.a)
    with key_file(bed.a, wrong):
        seen = rows(bed.a, "key", "list")
        equal(next(row["state"] for row in seen if row["epoch"] == epoch), "another key in the file", "the list")


def test_a_wrong_file_is_refused_at_the_start(bed):
    """restante-fetchd says file and line, and does not start."""
    good = text_of(bed.a)
    key = next(iter(keys_in(good).values()))
    at = next(i for i, line in enumerate(good.splitlines(), 1) if key in line)
    bed.a.daemons.stop_one("fetchd")
    try:
        with key_file(bed.a, good.replace(key, "f" * 64)):
            try:
                bed.a.daemons.start_one("fetchd")
                check(False, "it started")
            except BedError as e:
                check(f"{file_of(bed.a)}:{at}: the site key of epoch" in str(e), f"it says {e}")
    finally:
        if not bed.a.daemons.pid("fetchd"):
            bed.a.daemons.start_one("fetchd")


def test_root_alone(bed):
    """Another user neither sees nor changes anything."""
    for words in (("key", "list"), ("key", "rotate")):
        done = ctl(bed.a, *words, user="nobody")
        check(done.returncode != 0 and not done.stdout, f"{words}: {said(done)}")
    for words in (("key",), ("key", "list", "x"), ("key", "rotate", "--when"), ("key", "turn")):
        refused(bed.a, *words, status=64)


def test_as_a_credential(bed):
    """site_keys_file = credential:NAME takes them from systemd's folder for the service; a rotation goes into the file behind it,
    and works after a restart."""
    daemons, path = bed.a.daemons, file_of(bed.a)

    def restart():
        daemons.stop_one("fetchd")
        daemons.start_one("fetchd", env={"CREDENTIALS_DIRECTORY": daemons.etc})
    daemons.configure(site_keys_file="credential:site.keys")
    try:
        restart()
        epoch = current(bed.a)
        check("LoadCredential" not in do(bed.a, "key", "list"), "key list")
        check("--file" in refused(bed.a, "key", "rotate", status=78), "rotate without a file")
        with waiting(bed, letter()) as offer:
            check("after its next start" in rotate(bed.a, "--file", path), "rotate")
            equal((current(bed.a), max(keys_in(text_of(bed.a)))), (epoch, epoch + 1), "before the restart")
            restart()
            equal(current(bed.a), epoch + 1, "after the restart")
            with offer.client() as client:
                end(offer.claim(client), 200, "claim")
                end(offer.ack(client), 204, "ack")
        daemons.stop_one("fetchd")
        try:
            daemons.start_one("fetchd")
            check(False, "it started without its credential")
        except BedError as e:
            check("systemd gave this process no credentials" in str(e), f"it says {e}")
    finally:
        daemons.configure()
        daemons.restart("fetchd")


# --- fetchd away, and time that passes

def test_while_fetchd_is_away(bed):
    """list shows the file; rotate adds a key for the next start; --due does nothing."""
    epoch = current(bed.a)
    with stopped(bed.a, "fetchd"):
        done = ctl(bed.a, "key", "list", "--json")
        check(b"does not run" in done.stderr and done.returncode == 0, said(done))
        check(f'"epoch": {epoch}'.encode() in done.stdout.replace(b'":', b'": ').replace(b"  ", b" "), said(done))
        before = text_of(bed.a)
        refused(bed.a, "key", "rotate", "--due", status=75)
        equal(text_of(bed.a), before, "the file after --due")
        check("after its next start" in rotate(bed.a), "rotate")
    equal(current(bed.a), epoch + 1, "the epoch after the start")


def test_due_and_destroyed(bed):
    """--due rotates by age, and never with 0. After the last tombstone of an epoch its key leaves the file, and does not come
    back."""
    first = min(keys_in(text_of(bed.a)))
    key = keys_in(text_of(bed.a))[first]
    raw = letter()
    try:
        with configured(bed.a, site_key_lifetime="0"):
            answering(bed.a)
            bed.a.daemons.shift_clock(90 * DAY)
            before = keys_in(text_of(bed.a))
            rotate(bed.a, "--due")
            equal(max(keys_in(text_of(bed.a))), max(before), "the newest with a lifetime of 0")
            bed.a.daemons.shift_clock(0)
        with configured(bed.a, site_key_lifetime="20d"):
            answering(bed.a)
            rotate(bed.a)
            newest = current(bed.a)
            with caught(bed, "b.test"):
                submit(bed.a, ALICE, [BOB], raw)
                wait_for("the letter's ticket", lambda: tickets(bed.a, message_id=bare_id(raw)), 10, 0.1)
                rotate(bed.a, "--due")
                equal(current(bed.a), newest, "not due")
                bed.a.daemons.shift_clock(21 * DAY)
                wait_for("a key to be due", lambda: rotate(bed.a, "--due") and current(bed.a) == newest + 1, 10, 0.3)
                check(first in keys_in(text_of(bed.a)), "its tickets are there, and its key is gone")
                # Everything expires, and then its tombstones go.
                bed.a.daemons.shift_clock(60 * DAY)
                wait_ticket(bed.a, raw, "expired")
                bed.a.daemons.shift_clock(120 * DAY)
                wait_for("tombstones to go", lambda: not tickets(bed.a, message_id=bare_id(raw)), 20, 0.2)

                def gone():
                    out = rotate(bed.a, "--due")
                    return first not in keys_in(text_of(bed.a)) and newest not in keys_in(text_of(bed.a)) and out
                wait_for("the keys to be destroyed", gone, 30, 0.5)
            check(key not in text_of(bed.a), "the key is still in the file")
            seen = listed(bed.a)
            equal((seen[first]["state"], seen[newest]["state"]), ("retired", "retired"), "states")
            check(listed(bed.a)[max(seen)]["state"] == "current", "the newest")
            # It is never used again: neither with another key ...
            line = f"{first} {'a' * 64}\n"
            with key_file(bed.a, line + text_of(bed.a)):
                check(f"site.keys:1: the site key of epoch {first} is not the one" in refused(bed.a, "key", "rotate"), "another key")
            # ... nor as it was: it is left out, and taken out.
            path = file_of(bed.a)
            with open(path, encoding="ascii") as f:
                rest = f.read()
            with open(path, "w", encoding="ascii") as f:
                f.write(f"{first} {key}\n{rest}")
            check(f"the key of epoch {first} is gone" in rotate(bed.a, "--due"), "a retired key that is still there")
            check(key not in text_of(bed.a), "it is in the file again")
    finally:
        bed.a.daemons.shift_clock(0)


# --- a thief of the disk

def forms(octets):
    """How octets may lie in a file."""
    yield octets
    yield binascii.hexlify(octets)
    yield binascii.hexlify(octets).upper()
    yield base64.urlsafe_b64encode(octets).rstrip(b"=")
    yield base64.b64encode(octets).rstrip(b"=")


def backup_of(site):
    return f"{site.folder}/backup"


def found(site, needles):
    """Files that hold any of the octets, in all that a thief of the disk gets but the key file: store, payload files, backup,
    logs."""
    pattern = "|".join("".join(f"\\x{byte:02x}" for byte in needle) for needle in needles)
    out = site.exec(["grep", "-rlaP", "--", pattern, site.daemons.lib, site.daemons.log, mail_log(site).path, backup_of(site)], check=False)
    check(out.returncode in (0, 1), f"grep: {out.stderr}")
    return out.stdout.decode().split()


def letter_with_canaries(size, where):
    """A letter with its own unique words in Subject, display name, body and attachment; and these words."""
    words = [f"canary-{part}-{os.urandom(6).hex()}" for part in ("subject", "name", "body", "attachment")]
    subject, name, body, attachment = words
    boundary = f"=_{os.urandom(6).hex()}"
    content = base64.encodebytes(attachment.encode() * max(1, size // 40)).replace(b"\n", b"\r\n")
    text = (f"--{boundary}\r\nContent-Type: text/plain\r\n\r\n{body}\r\n"
            f"--{boundary}\r\nContent-Type: application/octet-stream; name={attachment}.bin\r\n"
            f"Content-Transfer-Encoding: base64\r\n\r\n").encode() + content + f"--{boundary}--\r\n".encode()
    raw = letter(ALICE, where, subject=subject, body=text,
                 fields=["MIME-Version: 1.0", f"Content-Type: multipart/mixed; boundary=\"{boundary}\""])
    raw = raw.replace(b"From: alice@a.test", f"From: {name} <alice@a.test>".encode(), 1)
    check(name.encode() in raw, "the display name")
    encoded = base64.b64encode(attachment.encode() * 3)[8:40]  # one spelling of it in base64
    return raw, [word.encode() for word in words] + [encoded]


def keys_of_ticket(site, id):
    """B, Ka and Kd of a ticket, as docs/PROTOCOL.md derives them from the site key."""
    a = bytes.fromhex(id)
    key = bytes.fromhex(keys_in(text_of(site))[int.from_bytes(a[:2], "big")])

    def derive(label):
        return hmac.digest(key, b"restante/1/" + label + b"\0" + a, "sha256")
    return derive(b"b")[:16], derive(b"ka"), derive(b"kd")


@contextlib.contextmanager
def folders_for_backups(bed):
    """A folder for a backup at a and b, of fetchd's user, gone afterwards."""
    try:
        for site in (bed.a, bed.b):
            os.mkdir(backup_of(site), 0o700)
            shutil.chown(backup_of(site), "restante", "restante")
        yield
    finally:
        for site in (bed.a, bed.b):
            shutil.rmtree(backup_of(site))


def test_canaries(bed):
    """Letters in records and in files, waiting, held at b, kept at b, and delivered: neither stores, payload files, backups nor logs
    of both sites show a word of them, nor B, Ka or Kd of a URL that works, nor the link of a challenge, nor a site key."""
    words = []
    with clean(bed.b, BOB), folders_for_backups(bed):
        with waiting(bed, *made(words, BOB)) as offers:
            delivered = made(words, BOB)
            for raw in delivered:
                submit(bed.a, ALICE, [BOB], raw)
            for raw in delivered:
                wait_ticket(bed.a, raw, "delivered")
            with policy(bed.b, BOB, "known"):
                held = made(words, BOB)
                for raw in held:
                    submit(bed.a, ALICE, [BOB], raw)
                attempt(bed.b, BOB, ALICE, waiting=len(held))
                rotate(bed.a)
                rotate(bed.b)
                for raw in held:
                    wait_ticket(bed.a, raw, "held")
                with policy(bed.b, BOB, "known", "--legacy", "attempt"):
                    kept = made(words, BOB, sender="carol@c.test")
                    for raw in kept:
                        submit(bed.c, "carol@c.test", [BOB], raw, login=False)
                    attempt(bed.b, BOB, "carol@c.test", waiting=len(kept))
                live = [row["id"] for state in ("waiting", "held") for row in tickets(bed.a, state=state)]
                check(len(live) >= len(held) + len(offers), f"live tickets: {live}")
                secrets = [secret for id in live for secret in keys_of_ticket(bed.a, id)]
                for offer in offers:
                    b, ka, kd = keys_of_ticket(bed.a, offer.a().hex())
                    equal((unb64(offer.path.split("/")[4]), unb64(offer.tags["a"]), unb64(offer.tags["d"])), (b, ka, kd), "keys")
                with clean(bed.b, DAVE), policy(bed.b, DAVE, "challenge"):
                    asked = made(words, DAVE)[0]
                    submit(bed.a, ALICE, [DAVE], asked)
                    words.append(wait_ticket(bed.a, asked, "challenged")["challenge"].rpartition("/")[2].encode())
                    look(bed, words, secrets)
        look(bed, words, [])


def made(words, to, sender=ALICE):
    """One letter in a record, one in a file; their words are added."""
    out = []
    for size in (500, 300_000):
        raw, own = letter_with_canaries(size, to)
        if sender != ALICE:
            raw = raw.replace(b"alice@a.test", sender.encode())
        words += own
        out.append(raw)
    return out


def look(bed, words, secrets):
    """Nothing of it is in the files of a or b."""
    for site in (bed.a, bed.b):
        do(site, "backup", backup_of(site))
        # What is in the database's cache is on the disk afterwards.
        site.daemons.restart("fetchd")
        hidden = {word: [word] for word in words} | {secret.hex(): list(forms(secret)) for secret in secrets}
        hidden |= {f"site key {epoch}": list(forms(bytes.fromhex(key))) for epoch, key in keys_in(text_of(site)).items()}
        if found(site, [needle for needles in hidden.values() for needle in needles]):
            for name, needles in hidden.items():
                equal(found(site, needles), [], f"files of {site.name} with {name}")
        check(found(site, [b"alice@a.test"]), "the search finds nothing at all")
