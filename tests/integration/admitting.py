"""Stubs offered to b by domains and hosts of a test's own making, and what b says of them."""

import contextlib

from bedlib import netns
from harness import Smtp, daemon_log, equal
from restante import a_stub, jobs, mail_records


def offer(bed, raw, sender, to="bob@b.test", *, site=None, source=None):
    """Offers a stub to b from a stranger's host: (code, enhanced status code, text)."""
    with Smtp(site or bed.x, to=bed.b.address, source=source) as smtp:
        smtp.envelope(sender, [to])
        code, text = smtp.data(raw, *range(200, 600))
    return code, text.split(" ")[0], text


def offer_of(bed, domain, to="bob@b.test", *, author="eve", top=b"", host=None, **options):
    """A stub of eve@domain, rightly designated (or of another link host), with further fields on top."""
    raw = top + a_stub(f"{author}@{domain}", to, host=host or f"pull.{domain}")
    return offer(bed, raw, f"restante+00@{domain}", to, **options)


def records(bed, name, *, mx=True, spf="v=spf1 ip4:{net}.0/24 -all", designation=True):
    """The records of a domain whose mail comes from x."""
    lines = mail_records(bed.x.address, f"v=restante1; h=pull.{name}.test; r=1" if designation else None)
    lines = [line for line in lines if " MX " not in line and "v=spf1" not in line]
    lines += ["@ MX 10 mx"] if mx is True else [mx] if mx else []
    lines += [f'@ TXT "{one.format(net=bed.net)}"' for one in ([spf] if isinstance(spf, str) else spf or [])]
    return lines + [f"pull A {bed.x.address}"]


class Watch:
    """What fetchd at b logs and keeps from now on."""

    def __init__(self, bed):
        self.bed, self.log, self.before = bed, daemon_log(bed.b, "fetchd"), {job["id"] for job in jobs(bed.b)}

    def expect(self, got, code, enhanced, reason, what):
        """The answer, and the reason in the log."""
        equal(got[:2], (code, enhanced), f"answer to {what} ({got[2]})")
        self.log.wait(rf"reason={reason}\b")

    def nothing(self):
        equal([job for job in jobs(self.bed.b) if job["id"] not in self.before], [], "jobs")


def stub(sender, author=None, to="bob@b.test", list_id=None):
    """A stub of the sender's domain."""
    raw = a_stub(sender, to, host=f"pull.{sender.partition('@')[2]}")
    if author:
        raw = raw.replace(f"From: <{sender}>".encode(), f"From: {author}".encode(), 1)
    return (f"List-Id: A list <{list_id}>\r\n".encode() if list_id else b"") + raw


def offered(bed, sender, author=None, to="bob@b.test", list_id=None):
    """(status, reason) in the log of a stub that was taken."""
    watch = Watch(bed)
    got = offer(bed, stub(sender, author, to, list_id), f"restante+00@{sender.partition('@')[2]}", to)
    equal(got[0], 250, f"answer to a stub of {sender}: {got}")
    found = watch.log.wait(r"reason=(\S+) delay=\S+ status=(\w+)")
    return found.group(2), found.group(1)


@contextlib.contextmanager
def address_of_x(bed, number, ptr=None):
    """A further address of x, with this name in reverse DNS."""
    address = f"{bed.net}.{number}"
    zone = bed._reverse_zone(f"{bed.net}.0/24")
    netns.ip(bed.x.ns, "addr", "add", f"{address}/24", "dev", "eth0")
    owner = ".".join(reversed(address.split("."))) + ".in-addr.arpa."
    if ptr:
        bed.dns.add(zone, f"{owner} PTR {ptr}.")
    try:
        yield address
    finally:
        netns.ip(bed.x.ns, "addr", "del", f"{address}/24", "dev", "eth0")
        if ptr:
            bed.dns.replace(zone, f"{owner} PTR")
