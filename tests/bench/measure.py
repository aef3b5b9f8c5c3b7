"""What the benchmarks measure with, and how they change the bed."""

import datetime
import json
import os
import statistics
import time

from bedlib import netns
from bedlib.run import read

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
BUILD = f"{SOURCE}/build/release"
PROGRAMS = f"{BUILD}/tests/bench"
ROUNDS = int(os.environ.get("ROUNDS", "3"))
SINK = 2599  # the port of smtp-sink at a


# --- measuring

def cpu_of(pids):
    """User and system seconds of these processes."""
    ticks = 0
    for pid in pids:
        stat = read(f"/proc/{pid}/stat")
        if stat:
            fields = stat.rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def cpu_inside(ns):
    """User and system seconds of all processes that are in a namespace or were, as children of one that is."""
    ticks = 0
    for pid in netns.pids(ns):
        stat = read(f"/proc/{pid}/stat")
        if stat:
            ticks += sum(map(int, stat.rpartition(")")[2].split()[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def row(case, ours, base, unit, target):
    ratio = ours / base if base else float("nan")
    print(f"  {case:<52} {ours:>10.2f} {base:>10.2f} {unit:<12} {ratio:>6.2f}  {target}", flush=True)


def head(title, ours="ours", base="beside"):
    print(f"\n{title}\n  {'':<52} {ours:>10} {base:>10} {'':<12} {'ratio':>6}  target", flush=True)


def medians(rounds):
    """Per column the median over rounds."""
    return [statistics.median(column) for column in zip(*rounds)]


# --- the bed

def restart(bed, site, **changes):
    site.daemons.stop_one("milter")
    site.daemons.stop_one("fetchd")
    site.daemons.configure(**changes)
    site.daemons.start()


def rows(site, command):
    """What restantectl shows, as a list."""
    return json.loads(site.daemons.restantectl(command, "--json").stdout)[command]


def drained(site):
    """No stub or notification is due at this site: the next look at a ticket comes much later."""
    status = rows(site, "status")[0]
    seconds = [datetime.datetime.fromisoformat(status[name].rstrip("Z")).timestamp() for name in ("outbox_next", "now")
               if name in status]
    return len(seconds) < 2 or seconds[0] > seconds[1] + 60


def sink(bed, host, port=SINK):
    return netns.start(bed.namespace(host), ["smtp-sink", "-u", "nobody", f"0.0.0.0:{port}", "500"],
                       f"{bed.folder}/sink.log")


def source(bed, host, size, count, sessions=20, to="bob@b.test", sender="alice@a.test", target="127.0.0.1:25"):
    """Seconds that smtp-source takes to hand over `count` letters."""
    began = time.monotonic()
    netns.execute(bed.namespace(host), ["smtp-source", "-s", str(sessions), "-m", str(count), "-l", str(size),
                                        "-f", sender, "-t", to, target], timeout=600)
    return time.monotonic() - began


# --- memory

def memory_kb(pid, key):
    for line in (read(f"/proc/{pid}/status") or "").splitlines():
        if line.startswith(key):
            return int(line.split()[1])
    return 0


def write_clear(pid):
    with open(f"/proc/{pid}/clear_refs", "w") as f:
        f.write("5")  # the high-water mark begins anew
