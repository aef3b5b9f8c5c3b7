"""What unwanted mail costs: refused stubs, admitted ones, and floods of them. Attackers are at x, with 131,072 addresses of
198.18.0.0/15; b receives."""

import contextlib
import json
import os
import random
import re
import smtplib
import socket
import subprocess
import sys
import time

from bedlib import netns
from bedlib.run import wait_for, write
from crowd import CROWD, SLOW_S, SlowDns, crowd
from measure import PROGRAMS, ROUNDS, cpu_inside, cpu_of, head, medians, memory_kb, restart, row, rows
from restante import a_stub

FLOOD = int(os.environ.get("FLOOD", "100000"))


# --- the attackers

def stub_file(bed, domain, host="pull.{domain}"):
    """A stub with numbers to be filled in, as blast_smtp wants it."""
    raw = a_stub(sender=f"eve@{domain}", host=host.format(domain=domain)).decode()
    raw = re.sub(r"/restante/1/[\w-]+/", "/restante/1/{h}/", raw)  # 32 hex digits are no A: 22 digits of it are
    raw = raw.replace("{h}", "AAAAAAAAAAAAAAAAAAAAAA")
    raw = re.sub(r"Message-ID: <[^@]*@", "Message-ID: <{h}@", raw)
    path = f"{bed.folder}/stub.eml"
    write(path, raw)
    return path


def blast(bed, count, sender, message, *, at_once=20, addresses=1, step=1, base=CROWD, wait=True):
    """Sends from x to b. Returns what blast_smtp printed, or with wait=False the running process."""
    argv = netns.command(bed.namespace("x"), [f"{PROGRAMS}/blast_smtp", bed.b.address, 25, count, at_once, base, addresses, step,
                                              sender, "bob@b.test", message])
    child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    return finish(child, stop=False) if wait else child


def finish(child, stop=True):
    out, _ = child.communicate(b"\n" if stop else None) if stop else (child.stdout.read(), child.wait())
    return json.loads(out)


# --- the cost of a refusal

def octets(bed):
    """What went over b's cable so far."""
    return sum(int(netns.execute(bed.namespace("b"), ["cat", f"/sys/class/net/eth0/statistics/{way}_bytes"]).stdout)
               for way in ("rx", "tx"))


def cost(bed, count, sender, message, **options):
    """CPU milliseconds of all processes at b and octets on its cable, a message; and the answers."""
    before = cpu_inside(bed.namespace("b")), octets(bed)
    answers = blast(bed, count, sender, message, **options)["answers"]
    wait_for("the queue to drain", lambda: not bed.b.mta.queued(), 120, 0.2)
    after = cpu_inside(bed.namespace("b")), octets(bed)
    return (after[0] - before[0]) / count * 1e3, (after[1] - before[1]) / count, answers


def spam_file(bed):
    """20 KB of an advertisement, as the stub of a spammer would stand for."""
    words = random.Random(1)
    lines = [" ".join("".join(words.choices("abcdefghijklmnopqrstuvwxyz", k=words.randint(2, 9))) for _ in range(11))
             for _ in range(320)]
    path = f"{bed.folder}/spam.eml"
    write(path, "\r\n".join(["From: Big Offers <eve@evil.test>", "To: bob@b.test", "Subject: Your chance",
                             "Date: Sat, 21 Nov 2026 10:00:00 +0000", "Message-ID: <{h}@evil.test>", "MIME-Version: 1.0",
                             "Content-Type: text/plain", "", *lines])[:20480] + "\r\n")
    return path


@contextlib.contextmanager
def spamd(bed):
    """spamd at b; letters go through spamc instead of into the Maildir."""
    child = netns.start(bed.namespace("b"), ["spamd", "--local", "--nouser-config", "--max-children", "2", "--username",
                                             "nobody", "--listen", "127.0.0.1:783"], f"{bed.folder}/spamd.log")
    path = f"{bed.b.mta.conf}/master.cf"
    with open(path) as f:
        before = f.read()
    write(path, f"{before}\nspam unix - n n - 4 pipe\n  flags=Rq user=nobody argv=/bin/sh -c {{ /usr/bin/spamc >/dev/null }}\n")
    old = bed.b.mta.postconf(content_filter="spam:")

    def listens():
        with bed.b.inside(), contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", 783), 1).close()
            return True
    try:
        wait_for("spamd", listens, 60, 0.3)
        yield
    finally:
        write(path, before)
        bed.b.mta.postconf(**old)
        child.terminate()
        child.wait()


def bench_refuse(bed):
    """A forged stub: somebody at x writes in the name of a.test, whose SPF record says no."""
    crowd(bed)
    restart(bed, bed.b, rate_client="0", rate_domain="0", rate_organisation="0", rate_host="0")
    stub, spam = stub_file(bed, "a.test"), spam_file(bed)
    milters = bed.b.mta.main["smtpd_milters"]
    count, sender = 1000, "restante+00@a.test"
    refused, plain, spammed, scanned = [], [], [], []
    for _ in range(ROUNDS):
        bed.b.mta.postconf(smtpd_milters=milters, header_checks=None)
        blast(bed, 100, sender, stub)
        refused.append(cost(bed, count, sender, stub))
        bed.b.mta.postconf(smtpd_milters="", header_checks="regexp:{ { /^Restante-Stub:/ REJECT } }")
        blast(bed, 100, sender, stub)
        plain.append(cost(bed, count, sender, stub))
        bed.b.mta.postconf(header_checks=None)
        blast(bed, 100, "eve@evil.test", spam)
        spammed.append(cost(bed, count, "eve@evil.test", spam))
        with spamd(bed):
            blast(bed, 5, "eve@evil.test", spam)
            scanned.append(cost(bed, 60, "eve@evil.test", spam, at_once=4))
        for path in bed.b.mta.letters("bob"):
            os.unlink(path)
    bed.b.mta.postconf(smtpd_milters=milters)
    print(f"\nanswers: refused by Restante {refused[-1][2]}, by Postfix {plain[-1][2]}, spam {spammed[-1][2]}, scanned {scanned[-1][2]}")
    ours, base, accepted, filtered = (medians([one[:2] for one in all]) for all in (refused, plain, spammed, scanned))
    head("refuse: a forged stub, all processes of the receiving host", "stub", "beside")
    row("CPU, beside the same Postfix refusing after DATA", ours[0], base[0], "ms", "<= 2")
    row("octets, beside 20 KB of spam accepted", ours[1], accepted[1], "octets", "<= 0.25")
    row("CPU, beside 20 KB of spam accepted", ours[0], accepted[0], "ms", "")
    row("CPU, beside that spam through spamc and spamd", ours[0], filtered[0], "ms", "")


def bench_admit(bed):
    """fetchd's CPU for one stub, DNS cache warm: forged, and of a verified stranger (kept durably as a contact attempt)."""
    crowd(bed)
    restart(bed, bed.b, admission="known", rate_client="0", rate_domain="0", rate_organisation="0", rate_host="0")
    bed.dns.zones({"stranger.test": ["@ MX 10 mx", f"mx A {CROWD}", f'@ TXT "v=spf1 ip4:198.18.0.0/15 -all"',
                                     '_restante TXT "v=restante1; h=pull.stranger.test:443; r=1"'],
                   "18.198.in-addr.arpa": ["*.0 PTR mx.stranger.test."]})
    fetchd = bed.b.daemons.pid("fetchd")
    head("admit: CPU of fetchd a stub, DNS cache warm", "ms", "target")
    try:
        for case, domain in (("forged, refused", "a.test"), ("of a verified stranger, kept as a contact attempt", "stranger.test")):
            stub, rounds = stub_file(bed, domain), []
            blast(bed, 100, f"restante+00@{domain}", stub)
            for _ in range(ROUNDS):
                before = cpu_of([fetchd])
                answers = blast(bed, 1000, f"restante+00@{domain}", stub)["answers"]
                rounds.append([cpu_of([fetchd]) - before])
            row(f"{case} {answers}", medians(rounds)[0], 1, "ms", "< 1")
    finally:
        bed.dns.remove("stranger.test")
        bed.dns.remove("18.198.in-addr.arpa")


# --- floods

def store_size(bed):
    """Rows, and octets of the store with fetchd stopped (it makes a checkpoint then)."""
    status = rows(bed.b, "status")[0]
    kept = sum(number for name, number in status.items() if name.startswith(("tickets_", "jobs_")) or name in ("outbox", "payloads"))
    bed.b.daemons.stop_one("fetchd")
    out = bed.b.exec(["find", bed.b.daemons.lib, "-type", "f", "-printf", "%s\n"])
    bed.b.daemons.start_one("fetchd")
    return kept, sum(map(int, out.stdout.decode().split()))


def letter_delay(bed):
    """Seconds from submission at a to the Maildir at b."""
    have = len(bed.b.mta.letters("bob"))
    began = time.monotonic()
    with bed.a.inside(), smtplib.SMTP("127.0.0.1", 25) as smtp:
        smtp.sendmail("alice@a.test", ["bob@b.test"], "From: alice@a.test\r\nTo: bob@b.test\r\nSubject: hello\r\n\r\nHello\r\n")
    wait_for("the letter", lambda: len(bed.b.mta.letters("bob")) > have, 120, 0.02)
    return time.monotonic() - began


def flood(bed, title, count, domain, letters=True):
    """Stubs from addresses in 512 networks, and letters from a meanwhile."""
    stub = stub_file(bed, domain)
    kept, size = store_size(bed)  # and a cache that knows nobody
    idle = {name: memory_kb(bed.b.daemons.pid(name), "VmRSS") for name in ("milter", "fetchd")}
    child = blast(bed, count, f"restante+00@{domain}", stub, at_once=60, addresses=10000, step=13, wait=False)
    delays = []
    while letters and child.poll() is None and len(delays) < 10:
        time.sleep(3)
        delays.append(letter_delay(bed))
    told = finish(child, stop=False)
    grown = {name: memory_kb(bed.b.daemons.pid(name), "VmRSS") - kb for name, kb in idle.items()}
    now_kept, now_size = store_size(bed)
    print(f"\nflood: {title}: {count} stubs from 10,000 addresses in 512 networks, {told['answers']}")
    print(f"  {count / told['seconds']:.0f} rejects a second")
    print(f"  store: {now_kept - kept:+} rows and {now_size - size:+} octets, of {len(delays)} letters that came meanwhile")
    print("  resident memory grew by " + ", ".join(f"{kb / 1024:.1f} MiB ({name})" for name, kb in grown.items()) + "; target <= 64")
    if delays:
        print(f"  a letter from a domain not in the cache came after {delays[0]:.2f} s (target <= 5), later ones after "
              + ", ".join(f"{one:.2f}" for one in delays[1:]))
    sys.stdout.flush()


def bench_flood(bed):
    crowd(bed)
    for site in (bed.a, bed.b):
        restart(bed, site)
    letter_delay(bed)
    names = "forged names of domains that do not exist"
    flood(bed, names, FLOOD, "d{n}.test", letters=False)
    flood(bed, f"{names}, and letters", FLOOD // 5, "e{n}.test")
    with SlowDns(bed):
        flood(bed, f"a name server that answers after {SLOW_S} s, and letters", FLOOD // 10, "s{n}.github.io")
