"""Subprocesses, waiting with a limit, and small files."""

import os
import signal
import subprocess
import time


class BedError(Exception):
    """Something that the user of the bed can understand from its text alone."""


def run(argv, *, check=True, timeout=60, cwd=None, env=None, input=None):
    """Runs a command and returns its CompletedProcess (bytes). With check, a failure carries what the command said."""
    try:
        done = subprocess.run(argv, cwd=cwd, env=env, input=input, timeout=timeout, capture_output=True,
                              stdin=subprocess.DEVNULL if input is None else None)
    except FileNotFoundError as e:
        raise BedError(f"{argv[0]}: not installed ({e})") from e
    except subprocess.TimeoutExpired as e:
        raise BedError(f"{' '.join(map(str, argv))}: no end after {timeout} s") from e
    if check and done.returncode != 0:
        said = (done.stderr + done.stdout).decode(errors="replace").strip()
        raise BedError(f"{' '.join(map(str, argv))}: status {done.returncode}: {said[-2000:]}")
    return done


def wait_for(what, condition, timeout=10.0, step=0.02):
    """Calls condition() until it returns something true and returns that; after timeout seconds raises with `what`."""
    end = time.monotonic() + timeout
    while True:
        got = condition()
        if got:
            return got
        if time.monotonic() > end:
            raise BedError(f"waited {timeout:g} s for {what}")
        time.sleep(step)


def listens(path, pid="self"):
    """True when a UNIX socket is listened at (its name is there a moment earlier), as the process sees its network's sockets.
    No connection is made."""
    lines = (read(f"/proc/{pid}/net/unix") or "").splitlines()
    return any(words[3] == "00010000" and words[-1] == path for words in map(str.split, lines))


def write(path, text, mode=0o644):
    """Writes a small file in one go (rename), so that nobody reads half of it."""
    data = text if isinstance(text, bytes) else text.encode()
    temporary = f"{path}.new"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(fd, "wb") as f:
        os.fchmod(fd, mode)
        f.write(data)
    os.rename(temporary, path)


def read(path, default=None):
    """A file's text, or `default` if there is none."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as f:
            return f.read()
    except (FileNotFoundError, ProcessLookupError):  # the latter: a process that ended while its /proc file was read
        return default


def alive(pid):
    """Whether a process runs; a zombie does not, unless threads of it still do: they keep its sockets open."""
    stat = read(f"/proc/{pid}/stat")
    if stat is None:
        return False
    try:
        return stat.rpartition(")")[2].split()[0] not in ("Z", "X") or len(os.listdir(f"/proc/{pid}/task")) > 1
    except (FileNotFoundError, ProcessLookupError):
        return False


def stop(pids, grace):
    """TERM to these processes, KILL to what is left after `grace` seconds. Returns those that had to be killed."""
    def send(number):
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
    pids = [pid for pid in pids if alive(pid)]
    send(signal.SIGTERM)
    end = time.monotonic() + grace
    while any(map(alive, pids)) and time.monotonic() < end:
        time.sleep(0.02)
    pids = [pid for pid in pids if alive(pid)]
    send(signal.SIGKILL)
    wait_for("killed processes to go", lambda: not any(map(alive, pids)), 10)
    return pids
