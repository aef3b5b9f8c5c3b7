"""Network namespaces: make them, run programs in them, open sockets in them."""

import contextlib
import ctypes
import os
import shutil
import subprocess

from .run import BedError, run, write

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def existing():
    """Names of all namespaces of this machine."""
    out = run(["ip", "netns", "list"]).stdout.decode()
    return {line.split()[0] for line in out.splitlines() if line}


def create(name, resolver=None):
    """A namespace with loopback up; its programs use `resolver` (AD flags are passed on)."""
    if resolver:
        os.makedirs(f"/etc/netns/{name}", exist_ok=True)
        write(f"/etc/netns/{name}/resolv.conf", f"nameserver {resolver}\noptions trust-ad edns0 timeout:2 attempts:2\n")
    run(["ip", "netns", "add", name])
    run(["ip", "-n", name, "link", "set", "lo", "up"])


def ip(name, *args):
    run(["ip", "-n", name, *args])


def pids(name):
    """All processes in a namespace: whatever was started there, daemonised or not."""
    done = run(["ip", "netns", "pids", name], check=False)
    return [int(word) for word in done.stdout.split()]


def has(name, pid):
    """Whether a process runs in the namespace. A number read from a file may have become another process's by now."""
    try:
        return os.path.samestat(os.stat(f"/proc/{pid}/ns/net"), os.stat(f"/run/netns/{name}"))
    except OSError:
        return False


def delete(name):
    run(["ip", "netns", "del", name], check=False)
    shutil.rmtree(f"/etc/netns/{name}", ignore_errors=True)
    with contextlib.suppress(OSError):
        os.rmdir("/etc/netns")


def command(name, argv):
    return ["ip", "netns", "exec", name, *map(str, argv)]


def execute(name, argv, **options):
    """run() inside the namespace."""
    return run(command(name, argv), **options)


def start(name, argv, log, *, env=None):
    """Starts a program that stays in the foreground; its stdout and stderr go to the file `log`. Returns the Popen, whose
    pid is the program's own."""
    with open(log, "ab") as out:
        return subprocess.Popen(command(name, argv), stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env,
                                start_new_session=True)


def _enter(fd):
    if _libc.setns(fd, CLONE_NEWNET) != 0:
        raise BedError(f"setns: {os.strerror(ctypes.get_errno())}")


@contextlib.contextmanager
def inside(name):
    """This thread's new sockets are made in the namespace; they stay there afterwards. Names are still looked up outside:
    use addresses."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        there = os.open(f"/run/netns/{name}", os.O_RDONLY)
        try:
            _enter(there)
        finally:
            os.close(there)
        try:
            yield
        finally:
            _enter(home)
    finally:
        os.close(home)
