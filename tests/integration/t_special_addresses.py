"""A stub makes nobody connect to an address literal, nor to a name that resolves to a special-purpose address, in whatever
spelling: 60 of them."""

import os
import time

from harness import Box, Smtp, check, equal, wait_for
from restante import a_stub, jobs, mail_records, zones

NEEDS = ("restante",)
TIMEOUT = 180

LITERALS = ("127.0.0.1", "10.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[fe80::1]", "[::]", "0.0.0.0", "127.1",
            "0x7f.0.0.1", "0x7f000001", "2130706433", "017700000001", "0177.0.0.1", "127.0.0.1.", "1", "0", "10.89.77.66",
            "[10.89.77.66]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[fd89:77::66]", "192.0.2.1", "localhost", "localhost.",
            "localhost.localdomain", "[::1%25lo]", "127.0.0.1%00.evil.test", "pull.evil.test%2f@127.0.0.1", "%31%32%37.0.0.1",
            "\u2460\u2461\u2466.0.0.1", "127\u30020\u30020\u30021")
# name -> records of a host that the domain does designate
V4 = ("0.0.0.0", "0.1.2.3", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254", "172.16.0.1",
      "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1",
      "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255")
V6 = ("::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "100::1", "2001::1",
      "2001:2::1", "2001:db8::1", "2002:7f00:1::1", "2002:a00:1::1", "fc00::1", "fd00::1", "fe80::1", "fec0::1", "ff02::1",
      "5f00::1", "3fff::1")


def fresh(name):
    """A zone that no run before has asked for, and whose hosts nobody leaves alone."""
    return f"{name}-{os.urandom(4).hex()}"


def offer(bed, raw, domain):
    with Smtp(bed.x, to=bed.b.address) as smtp:
        smtp.envelope(f"restante+00@{domain}", ["bob@b.test"], mail="SMTPUTF8")
        return smtp.data(raw, *range(200, 600))


def tried_connections(bed):
    """Packets that b sent to open connections anywhere but to DNS: counted by the kernel's own table of rules would need
    nft; the sockets' counter of active opens does it."""
    with open(f"/proc/{bed.b.daemons.pid('fetchd')}/net/snmp", encoding="ascii") as f:
        rows = [line.split()[1:] for line in f if line.startswith("Tcp:")]
    return int(dict(zip(*rows))["ActiveOpens"])


def test_address_literals(bed):
    """A designation that names address literals or odd spellings is worth nothing: the stub is refused, and at least as many
    spellings are tried as the names below."""
    wrong, zone = [], fresh("evil")
    record = f"v=restante1; h=pull.{zone}.test; r=1"
    with zones(bed, **{zone: mail_records(bed.x.address, record) + [f"pull A {bed.x.address}"]}):
        for host in LITERALS:
            code, text = offer(bed, a_stub(f"eve@{zone}.test", host=host), f"{zone}.test")
            if code // 100 != 5:
                wrong.append(f"{host}: {code} {text}")
    check(not wrong, "; ".join(wrong))
    ascii_hosts = [host for host in LITERALS[:18] if host.isascii() and not set(host) & set("[]%")]
    zone = fresh("evil")
    with zones(bed, **{zone: mail_records(bed.x.address, "v=restante1; h=" + ",".join(ascii_hosts[:8]) + "; r=1")}):
        for host in ascii_hosts[:8]:
            code, text = offer(bed, a_stub(f"eve@{zone}.test", host=host), f"{zone}.test")
            if code // 100 != 5:
                wrong.append(f"{host}, designated: {code} {text}")
    check(not wrong, "; ".join(wrong))
    check(len(LITERALS) + len(V4) + len(V6) >= 60, "fewer than 60 spellings")


def test_names_that_lead_there(bed):
    """Designated names with special-purpose addresses, alone and beside a good one: the stub is taken, the job is retried, no
    connection is opened, nothing is delivered."""
    records, hosts = [], []
    for number, address in enumerate(V4 + V6):
        hosts.append(f"h{number}")
        records.append(f"h{number} {'AAAA' if ':' in address else 'A'} {address}")
    extra = {}
    for start in range(0, len(hosts), 8):
        part = hosts[start:start + 8]
        name = fresh(f"evil{start}")
        extra[name] = mail_records(bed.x.address, "v=restante1; h=" + ",".join(f"{h}.{name}.test" for h in part) + "; r=1") + \
            [record for record in records if record.split()[0] in part]
    box, known = Box(bed.b, "bob"), {job["id"] for job in jobs(bed.b)}
    with zones(bed, **extra):
        sent = 0
        before = tried_connections(bed)
        for name, lines in extra.items():
            for h in [line.split()[0] for line in lines if line.startswith("h")]:
                stub = a_stub(f"eve@{name}.test", host=f"{h}.{name}.test")
                code, text = offer(bed, stub, f"{name}.test")
                equal(code, 250, f"answer to {h}: {text}")
                sent += 1

        def tried():
            mine = [job for job in jobs(bed.b) if job["id"] not in known]
            return mine if len(mine) == sent and all(job["tries"] >= 1 for job in mine) else None
        mine = wait_for("each job to be tried", tried, 60, 0.3)
        time.sleep(0.5)
        # Look-ups over TCP would count too; the answers here are small.
        equal(tried_connections(bed) - before, 0, "connections opened by b")
        # Who was tried often by now is left alone.
        why = {job.get("text", "") for job in mine if job["tries"] < 5}
        check(all("special" in text or "address" in text for text in why), f"reasons: {why}")
    equal(box.new(), [], "letters")
