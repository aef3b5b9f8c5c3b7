"""The whole bed: names, addresses, one folder, up and down.

Environment: RESTANTE_BED_NAME (prefix of the namespaces; the default differs between checkouts of the project, so that
two of them do not meet), RESTANTE_BED_DIR, RESTANTE_BED_NET (three octets), RESTANTE_BED_NET6 (a /64 prefix without "::"),
RESTANTE_BUILD (build folder), RESTANTE_PREFIX (installed programs instead).
"""

import fcntl
import glob
import hashlib
import ipaddress
import json
import os
import re
import shutil
import stat
import time
from concurrent.futures import ThreadPoolExecutor

from . import netns
from .daemons import Daemons, find_programs
from .dns import Dns
from .mta import Mta
from .pki import Pki
from .run import BedError, alive, read, run, stop, write

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
BASE = "/tmp"
# The name in the bed -> number of the host in its networks. x has no MTA: strangers and hostile hosts speak from there.
HOSTS = {"a": 1, "b": 2, "c": 3, "x": 66}
SITES = ("a", "b", "c")
RESTANTE_SITES = ("a", "b")
USERS = ("restante", "restante-milter")  # of the daemons


class Site:
    """One mail site: .domain, .address, .address6, .mta, .daemons (None at c), and programs run inside."""

    def __init__(self, bed, name):
        self.bed, self.name, self.ns = bed, name, bed.namespace(name)
        self.folder = f"{bed.folder}/{name}"
        self.domain = f"{name}.test"
        self.address, self.address6 = bed.addresses(name)
        self.mta = self.daemons = None
        if name in SITES:
            self.mta = Mta(self.ns, f"{self.folder}/postfix", self.domain, name == "a", bed.source)
        if name in RESTANTE_SITES:
            self.daemons = Daemons(bed, self)

    def exec(self, argv, **options):
        return netns.execute(self.ns, argv, **options)

    def inside(self):
        return netns.inside(self.ns)


class Bed:
    """A bed by name; it need not be up. Attributes: .a .b .c .x (Site), .dns, .pki, .folder, .state."""

    def __init__(self, name=None, folder=None, source=SOURCE):
        self.source = source
        self.name = name or os.environ.get("RESTANTE_BED_NAME") or default_name(source)
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,20}", self.name):
            raise BedError(f"bed name {self.name!r}: lower-case letters, digits and hyphens, at most 21")
        self.folder = os.path.abspath(folder or os.environ.get("RESTANTE_BED_DIR") or f"{BASE}/restante-bed-{self.name}")
        if len(self.folder) > 55:
            raise BedError(f"{self.folder}: too long for the UNIX sockets below it (55 characters)")
        self.net = os.environ.get("RESTANTE_BED_NET", "10.89.77")
        self.net6 = os.environ.get("RESTANTE_BED_NET6", "fd89:77:0:0")
        self.resolver = f"{self.net}.53"
        self.pki = Pki(f"{self.folder}/pki")
        self.dns = Dns(self.namespace("dns"), f"{self.folder}/dns", f"{self.net}.54", self.resolver)
        for host in HOSTS:
            setattr(self, host, Site(self, host))
        self.state = json.loads(read(f"{self.folder}/bed.json") or "{}")
        for site in self.sites():
            site.mta.load()

    def namespace(self, host):
        return f"{self.name}-{host}"

    def addresses(self, host):
        return f"{self.net}.{HOSTS[host]}", str(ipaddress.ip_address(f"{self.net6}::{HOSTS[host]:x}"))

    def site(self, name):
        if name not in SITES:
            raise BedError(f"no site {name!r}: there are {', '.join(SITES)}")
        return getattr(self, name)

    def sites(self):
        return [getattr(self, name) for name in SITES]

    def is_up(self):
        return bool(self.state.get("up"))

    # --- up

    def up(self, *, owner=None, programs=True, say=lambda text: None):
        """Brings everything up. owner: a process id; once it is gone the bed counts as left over by a crash. programs=False
        keeps the daemons out. say: told of each step. On failure everything is taken down again."""
        if os.geteuid() != 0:
            raise BedError("the bed needs root: it makes network namespaces")
        with _Lock(self.name):
            sweep(self, say)
            self._refuse_what_is_taken()
            self._make_folder()
            self.state = {"name": self.name, "net": self.net, "net6": self.net6, "source": self.source, "owner": owner,
                          "owner_start": _start_time(owner), "up": False}
            self._save()
            try:
                self._bring_up(programs, say)
            except BaseException:
                if not os.environ.get("RESTANTE_BED_KEEP_FAILED"):
                    self._tear_down(grace=0)
                raise
            self.state["up"] = True
            self._save()

    def keep(self):
        """Stays up until somebody takes it down, whatever becomes of its owner."""
        self.state["owner"] = self.state["owner_start"] = None
        self._save()

    def check(self, say=lambda text: None):
        """Raises if up() would: somebody else has our names or addresses, or the bed is up already. Removes what a crashed
        run left."""
        with _Lock(self.name):
            sweep(self, say)
            self._refuse_what_is_taken()

    def _bring_up(self, programs, say):
        began = time.monotonic()
        def step(text):
            say(f"{time.monotonic() - began:5.2f} s  {text}")
        found = find_programs(self.source) if programs else None
        self.state["programs"] = found
        self._network()
        step(f"namespaces {', '.join(self.namespace(host) for host in ('dns', *HOSTS))}")
        self.pki.create()
        for site in self.sites():
            self.pki.issue(f"mx.{site.domain}", [f"mx.{site.domain}"])
            self.pki.issue(f"pull.{site.domain}", [f"pull.{site.domain}"])
        step("test CA and certificates")
        if found:
            self.state["made_users"] = make_users()
            self._save()
        for site in self.sites():
            restante = site.daemons is not None and found is not None
            if restante:
                site.daemons.create(found)
            site.mta.create(*(f"{self.pki.folder}/mx.{site.domain}.{end}" for end in ("crt", "key")),
                            enabled=[site.domain] if restante else None,
                            restantectl=site.daemons.restantectl_argv() if restante else None)
        with ThreadPoolExecutor() as pool:
            work = [pool.submit(site.mta.start) for site in self.sites()]
            os.makedirs(self.dns.folder)
            self.dns.start(self.zones())
            step("name servers")
            if found:
                work += [pool.submit(getattr(self, name).daemons.start) for name in RESTANTE_SITES]
            for one in work:
                one.result()
        step("Postfix at a, b, c")
        if found:
            step(f"restante-fetchd and restante-milter at a, b (from {found['from']})")
        else:
            step("plain Postfix only: restante-fetchd and restante-milter are not built" if programs else "plain Postfix only")

    def zones(self):
        """The zones of the sites and the reverse zones, as name -> records."""
        zones = {}
        for site in self.sites():
            v4, v6 = site.address, site.address6
            records = ["@ MX 10 mx", f"mx A {v4}", f"mx AAAA {v6}", '@ TXT "v=spf1 mx -all"',
                       f"_25._tcp.mx TLSA {self.pki.tlsa(f'{self.pki.folder}/mx.{site.domain}.crt')}"]
            if site.name in RESTANTE_SITES:
                records += [f"pull A {v4}", f"pull AAAA {v6}", f"_restante TXT \"{designation(site.domain)}\""]
            zones[site.domain] = records
        reverse4, reverse6 = (self._reverse_zone(network) for network in (f"{self.net}.0/24", f"{self.net6}::/64"))
        zones[reverse4], zones[reverse6] = [], []
        for site in self.sites():
            for zone, address in ((reverse4, site.address), (reverse6, site.address6)):
                name = ipaddress.ip_address(address).reverse_pointer
                zones[zone].append(f"{name}. PTR mx.{site.domain}.")
        # Strangers have reverse DNS too.
        x4, x6 = self.addresses("x")
        zones["x.test"] = [f"mx A {x4}", f"mx AAAA {x6}"]
        for zone, address in ((reverse4, x4), (reverse6, x6)):
            zones[zone].append(f"{ipaddress.ip_address(address).reverse_pointer}. PTR mx.x.test.")
        return zones

    @staticmethod
    def _reverse_zone(network):
        net = ipaddress.ip_network(network)
        labels = net.network_address.reverse_pointer.split(".")
        bits_a_label = 8 if net.version == 4 else 4
        return ".".join(labels[(net.max_prefixlen - net.prefixlen) // bits_a_label:])

    def _network(self):
        """A bridge in the dns namespace, a cable to each host. Nothing of it is in the machine's own namespace, and there is
        no way out."""
        dns = self.namespace("dns")
        netns.create(dns, self.resolver)
        netns.ip(dns, "link", "add", "bridge", "type", "bridge")
        for number in (53, 54):
            netns.ip(dns, "addr", "add", f"{self.net}.{number}/24", "dev", "bridge")
        netns.ip(dns, "link", "set", "bridge", "up")
        for host in HOSTS:
            ns = self.namespace(host)
            v4, v6 = self.addresses(host)
            netns.create(ns, self.resolver)
            run(["ip", "link", "add", "eth0", "netns", ns, "type", "veth", "peer", "name", f"to-{host}", "netns", dns])
            netns.ip(dns, "link", "set", f"to-{host}", "master", "bridge", "up")
            netns.ip(ns, "addr", "add", f"{v4}/24", "dev", "eth0")
            netns.ip(ns, "addr", "add", f"{v6}/64", "dev", "eth0", "nodad")
            netns.ip(ns, "link", "set", "eth0", "up")

    def _refuse_what_is_taken(self):
        taken = sorted(netns.existing() & {self.namespace(host) for host in ("dns", *HOSTS)})
        if taken:
            raise BedError(f"network namespaces of somebody else have our names: {', '.join(taken)}; "
                           "choose another RESTANTE_BED_NAME")
        ours = [ipaddress.ip_network(f"{self.net}.0/24"), ipaddress.ip_network(f"{self.net6}::/64")]
        for line in run(["ip", "-4", "route"]).stdout.decode().splitlines() + \
                run(["ip", "-6", "route"]).stdout.decode().splitlines():
            try:
                route = ipaddress.ip_network(line.split()[0], strict=False)
            except (ValueError, IndexError):
                continue
            if route.prefixlen and any(route.version == net.version and route.overlaps(net) for net in ours):
                raise BedError(f"this machine has a route into the bed's addresses: {line.strip()}; choose another "
                               "RESTANTE_BED_NET or RESTANTE_BED_NET6")

    def _make_folder(self):
        # In a folder where everybody writes, somebody else may have been there first.
        try:
            os.mkdir(self.folder, 0o755)
        except FileExistsError:
            what = os.lstat(self.folder)
            if not stat.S_ISDIR(what.st_mode) or what.st_uid != 0 or os.listdir(self.folder):
                raise BedError(f"{self.folder} exists and is not an empty folder of root's; "
                               "remove it or choose another RESTANTE_BED_DIR") from None
        os.chmod(self.folder, 0o755)
        for host in HOSTS:
            os.mkdir(f"{self.folder}/{host}", 0o755)

    def _save(self):
        write(f"{self.folder}/bed.json", json.dumps(self.state, indent=1) + "\n")

    # --- down

    def down(self, grace=8):
        """Takes everything away: processes (TERM, after `grace` seconds KILL), namespaces, folder. Fine if there is nothing."""
        with _Lock(self.name):
            self._tear_down(grace)

    def _tear_down(self, grace):
        hosts = [self.namespace(host) for host in ("dns", *HOSTS)]
        ours = self.state or not netns.existing() & set(hosts)
        if not ours:
            raise BedError(f"namespaces {self.name}-* exist, but {self.folder} does not tell that they are the bed's; "
                           "remove them by hand if they are")
        present = netns.existing() & set(hosts)
        stop([pid for ns in present for pid in netns.pids(ns)], grace)
        for ns in hosts:
            if ns in present:
                # A child that was born while its parent was being stopped.
                stop(netns.pids(ns), 0)
            netns.delete(ns)
        if self.state or os.path.isdir(self.folder):
            self._remove_folder()
        remove_users(self.state.get("made_users", ()))
        self.state = {}

    def _remove_folder(self):
        if not read(f"{self.folder}/bed.json"):
            return
        # The mark goes last, so that an interrupted removal is known as ours.
        for name in os.listdir(self.folder):
            path = f"{self.folder}/{name}"
            if name != "bed.json":
                shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.remove(path)
        os.remove(f"{self.folder}/bed.json")
        os.rmdir(self.folder)

    def is_left_over(self):
        """Whether an earlier run's bed lies here that nobody will take down any more."""
        owner = self.state.get("owner")
        if not self.state:
            return False
        if not os.path.isdir(self.state["source"]) or not self.state["up"] or not \
                os.path.exists(f"/run/netns/{self.namespace('dns')}"):
            return True  # its checkout is gone, it died on its way up, or the machine was restarted
        return owner is not None and (not alive(owner) or _start_time(owner) != self.state.get("owner_start"))


class _Lock:
    """One up or down at a time."""

    def __init__(self, name):
        self.path = f"/run/lock/restante-bed-{name}.lock"

    def __enter__(self):
        self.file = open(self.path, "w", encoding="ascii")
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever held it before has removed the file; a lock on a removed file keeps nobody out.
            held = os.path.exists(self.path) and os.path.samestat(os.fstat(self.file.fileno()), os.stat(self.path))
        except BlockingIOError:
            held = False
        if not held:
            self.file.close()
            raise BedError("another up or down of this bed is under way")
        return self

    def __exit__(self, *_):
        os.unlink(self.path)
        self.file.close()


def sweep(mine, say):
    """Takes down what crashed runs left: other beds, and this one (whose lock the caller holds)."""
    for path in glob.glob(f"{BASE}/restante-bed-*/bed.json"):
        folder = os.path.dirname(path)
        if folder == mine.folder or os.lstat(folder).st_uid != 0:
            continue
        try:
            other = Bed(json.loads(read(path) or "{}").get("name"), folder)
            with _Lock(other.name):
                other.state = json.loads(read(path) or "{}")
                if other.is_left_over():
                    say(f"        removing what an earlier run left in {folder}")
                    other._tear_down(grace=0)
        except (BedError, ValueError):
            continue  # somebody is at it, or it is no bed
    mine.state = json.loads(read(f"{mine.folder}/bed.json") or "{}")
    if mine.is_left_over():
        say(f"        removing what an earlier run left in {mine.folder}")
        mine._tear_down(grace=0)
    elif mine.state:
        raise BedError(f"the bed {mine.name} is up already ({mine.folder}); take it down first: tests/bed down")


def default_name(source):
    return "rst-" + hashlib.sha256(source.encode()).hexdigest()[:4]


def designation(domain):
    return f"v=restante1; h=pull.{domain}:443; r=1; a=abuse@{domain}"


def make_users():
    """The system users that the package makes. Returns those that were missing."""
    made = []
    for user in USERS:
        if run(["getent", "passwd", user], check=False).returncode != 0:
            run(["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent", "--shell",
                 "/usr/sbin/nologin", user])
            made.append(user)
    run(["usermod", "-aG", "restante", "restante-milter"])  # deposit.sock belongs to group restante
    return made


def remove_users(made):
    """Takes users away that a bed made, unless another bed or an installed Restante has them by now."""
    installed = any(os.path.exists(f"{folder}/sysusers.d/restante.conf") for folder in ("/usr/lib", "/usr/local/lib", "/etc"))
    if not installed and not glob.glob(f"{BASE}/restante-bed-*/bed.json"):
        for user in reversed(made):  # restante-milter first: it is a member of the other's group
            run(["userdel", user], check=False)


def _start_time(pid):
    """When a process was started, in the kernel's ticks: tells it from a later one with the same number."""
    text = read(f"/proc/{pid}/stat") if pid else None
    return text.rpartition(")")[2].split()[19] if text else None
