"""What an owner of a mailbox (or the administrator) does with restantectl, for the cases that need it."""

import contextlib
import json

from bedlib import netns
from harness import check, wait_for
from restante import jobs


def ctl(site, *arguments, user=None, input=None):
    """restantectl as root, or as another user of the system; the CompletedProcess, whatever came of it. input: its standard
    input, bytes."""
    if user is None:
        return site.daemons.restantectl(*arguments, check=False, input=input)
    argv = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", *site.daemons.restantectl_argv(), *arguments]
    return netns.execute(site.ns, argv, check=False, input=input)


def said(done):
    return (done.stdout + done.stderr).decode()


def do(site, *arguments, user=None):
    """What it prints; it must succeed."""
    done = ctl(site, *arguments, user=user)
    check(done.returncode == 0, f"restantectl {' '.join(arguments)}: {done.returncode}: {said(done)}")
    return done.stdout.decode()


def rows(site, *arguments, user=None):
    """Its answer as a list of dicts."""
    found = json.loads(do(site, *arguments, "--json", user=user))
    return next(iter(found.values()))


def refused(site, *arguments, user=None, status=1, input=None):
    """It must fail with this exit status and a sentence on standard error, which is returned."""
    done = ctl(site, *arguments, user=user, input=input)
    check(done.returncode == status and not done.stdout.strip() and done.stderr.strip(),
          f"restantectl {' '.join(arguments)}: {done.returncode}: {said(done)}")
    return done.stderr.decode()


@contextlib.contextmanager
def policy(site, name, *words):
    """The policy of a mailbox or @domain, given back afterwards: policy(bed.b, "bob@b.test", "known", "--denial", "told")."""
    do(site, "policy", name, *words)
    try:
        yield
    finally:
        rule = [] if name.startswith("postmaster@") else ["default"]
        mode = ["--mode", "default"] if name.startswith("@") else []
        do(site, "policy", name, *rule, *mode, "--legacy", "default", "--denial", "default", "--challenge", "default",
           "--correspondents", "default", "--question", "")


@contextlib.contextmanager
def clean(site, mailbox):
    """Rules, attempts and tokens of a mailbox are taken away before and afterwards."""
    def wipe():
        for one in rows(site, "rules", mailbox):
            do(site, "forget", mailbox, one["sender"])
        for one in rows(site, "rules", mailbox, "--correspondents"):
            do(site, "forget", mailbox, one["address"])
        for one in rows(site, "attempts", mailbox):
            do(site, "forget", mailbox, one["sender"])
    wipe()
    try:
        yield
    finally:
        wipe()


def attempt(site, mailbox, sender, waiting=1, timeout=20):
    """Waits for a contact attempt with so many letters waiting; returns its row."""
    def there():
        return next((one for one in rows(site, "attempts", mailbox)
                     if one["sender"] == sender and one["waiting"] >= waiting), None)
    return wait_for(f"{waiting} letter(s) of {sender} to wait for {mailbox}", there, timeout, 0.1)


def job_of(site, **fields):
    """Waits for the one job with these fields."""
    return wait_for(f"a job with {fields}", lambda: next(iter(jobs(site, **fields)), None), 20, 0.1)
