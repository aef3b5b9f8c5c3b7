"""The bed's DNS: a signed root, signed zones below it on nsd, a validating unbound before it.

Everything validates from one trust anchor, as in the Internet; so names that do not exist are proved not to exist. A zone
lives in `zones/NAME` as the record lines that somebody gave; the signed file is made from it.
"""

import os
import time

from . import netns
from .run import BedError, read, run, wait_for, write

_NSD = """server:
  ip-address: {server}
  username: root
  chroot: ""
  zonesdir: "{dir}/signed"
  pidfile: "{dir}/nsd.pid"
  database: ""
  xfrdfile: "{dir}/xfrd.state"
  zonelistfile: "{dir}/zone.list"
  xfrdir: "{dir}"
  logfile: "{dir}/nsd.log"
  server-count: 1
  rrl-ratelimit: 0
remote-control:
  control-enable: yes
  control-interface: "{dir}/nsd.sock"
"""

_UNBOUND = """server:
  interface: {resolver}
  access-control: 0.0.0.0/0 allow
  do-daemonize: yes
  username: ""
  chroot: ""
  directory: "{dir}"
  pidfile: "{dir}/unbound.pid"
  logfile: "{dir}/unbound.log"
  use-syslog: no
  num-threads: 1
  do-ip6: no
  module-config: "validator iterator"
  trust-anchor-file: "{dir}/anchor"
  local-zone: "test." nodefault
  local-zone: "10.in-addr.arpa." nodefault
  local-zone: "d.f.ip6.arpa." nodefault
  root-hints: "{dir}/hints"
  val-log-level: 2
  ede: yes
  cache-max-negative-ttl: 0
  infra-host-ttl: 1
  so-rcvbuf: 0
  outgoing-range: 200
  num-queries-per-thread: 100
remote-control:
  control-enable: yes
  control-interface: "{dir}/unbound.sock"
  control-use-cert: no
"""


class Dns:
    """Name servers of a bed in the namespace `ns`: nsd on `server`, unbound on `resolver` (IPv4 addresses)."""

    def __init__(self, ns, folder, server, resolver):
        self.ns, self.folder, self.server, self.resolver = ns, folder, server, resolver
        self.sources, self.signed, self.keys = f"{folder}/zones", f"{folder}/signed", f"{folder}/keys"

    # --- the records

    def names(self):
        return sorted(os.listdir(self.sources))

    def records(self, zone):
        """The record lines of a zone as they were given."""
        text = read(f"{self.sources}/{zone}")
        if text is None:
            raise BedError(f"no zone {zone}")
        return [line for line in text.splitlines() if line and not line.startswith(";")]

    def zone(self, name, records, *, signed=True):
        """Adds a zone or replaces its records (lines as in a zone file, relative to the zone; SOA and NS are added; TTL 60).
        The resolver knows it when this returns. signed=False: an insecure delegation."""
        self.zones({name: records}, signed=signed)

    def zones(self, zones, *, signed=True):
        for name, records in zones.items():
            write(f"{self.sources}/{name}", ("" if signed else ";unsigned\n") + "\n".join(records) + "\n")
            self._sign(name)
        self._publish()

    def add(self, zone, *records):
        """Adds record lines to a zone."""
        self.zone(zone, self.records(zone) + list(records), signed=self._is_signed(zone))

    def replace(self, zone, owner_and_type, *records):
        """Replaces the records that begin with the words of `owner_and_type` (e.g. "_restante TXT") by the given lines;
        none given takes them out."""
        words = owner_and_type.split()
        rest = [line for line in self.records(zone) if line.split()[: len(words)] != words]
        self.zone(zone, rest + list(records), signed=self._is_signed(zone))

    def remove(self, name):
        os.remove(f"{self.sources}/{name}")
        os.remove(f"{self.signed}/{name}")
        self._publish()

    def break_signatures(self, name, kind=None):
        """Makes a zone bogus: its records change and its signatures do not; kind: of records of this type alone. Until the
        zone is given again."""
        path = f"{self.signed}/{name}"
        lines = []
        for line in read(path).splitlines():
            words = line.split("\t")
            if len(words) > 4 and words[3] == "RRSIG":
                signature = words[4].split(" ")
                if kind not in (None, signature[0]):
                    lines.append(line)
                    continue
                first = signature[8][0]
                signature[8] = ("B" if first == "A" else "A") + signature[8][1:]
                words[4] = " ".join(signature)
            lines.append("\t".join(words))
        write(path, "\n".join(lines) + "\n")
        self._reload()

    def flush(self):
        """The resolver forgets everything; what is asked meanwhile is answered (a reload would drop it)."""
        for command in (["flush_zone", "."], ["flush_infra", "all"]):
            run(["unbound-control", "-q", "-c", f"{self.folder}/unbound.conf", *command])

    def ask(self, name, kind, *, ns=None):
        """Asks the resolver from a namespace. Returns (rcode, AD flag, list of the answer's data)."""
        out = netns.execute(ns or self.ns, ["drill", "-D", f"@{self.resolver}", name, kind]).stdout.decode()
        rcode = out.partition("rcode: ")[2].partition(",")[0]
        flags = out.partition(";; flags: ")[2].partition(";")[0].split()
        answer = out.partition(";; ANSWER SECTION:\n")[2].partition("\n\n")[0].splitlines()
        data = [" ".join(line.split("\t")[4:]) for line in answer if line.count("\t") >= 4 and line.split("\t")[3] == kind]
        return rcode, "ad" in flags, data

    # --- the servers

    def start(self, zones):
        """First start: keys, zones and both servers. zones: name -> record lines."""
        for folder in (self.sources, self.signed, self.keys):
            os.makedirs(folder, exist_ok=True)
        write(f"{self.folder}/hints", f". 3600 NS ns.root.\nns.root. 3600 A {self.server}\n")
        for name, records in zones.items():
            write(f"{self.sources}/{name}", "\n".join(records) + "\n")
            self._sign(name)
        self._sign_root()
        write(f"{self.folder}/anchor", read(self._key(".") + ".ds"))
        write(f"{self.folder}/unbound.conf", _UNBOUND.format(dir=self.folder, resolver=self.resolver))
        self._configure_nsd()
        self.start_servers()

    def start_servers(self):
        netns.execute(self.ns, ["nsd", "-c", f"{self.folder}/nsd.conf"])
        netns.execute(self.ns, ["unbound", "-c", f"{self.folder}/unbound.conf"])
        wait_for("the resolver to answer", lambda: self.ask("a.test", "SOA")[:2] == ("NOERROR", True), 10)

    def stop_servers(self):
        """Stops both, for tests of what happens without DNS."""
        from .run import stop
        pids = [int(text) for text in (read(f"{self.folder}/{name}.pid") for name in ("nsd", "unbound")) if text]
        stop([pid for pid in pids if netns.has(self.ns, pid)], 5)

    # --- inside

    def _is_signed(self, zone):
        return not read(f"{self.sources}/{zone}").startswith(";unsigned")

    def _key(self, zone):
        """The base name of a zone's key files; made at the first call."""
        known = f"{self.keys}/{'root' if zone == '.' else zone}.name"
        name = read(known)
        if name is None:
            name = run(["ldns-keygen", "-a", "ECDSAP256SHA256", "-k", zone], cwd=self.keys).stdout.decode().strip()
            write(known, name)
        return f"{self.keys}/{name}"

    def _head(self, zone):
        # The serial only has to grow; the time in tenths of a second does.
        serial = int(time.time() * 10) % 0xFFFFFFFF
        name_server = "ns.root." if zone == "." else "ns"
        lines = [f"$ORIGIN {zone if zone == '.' else zone + '.'}", "$TTL 60",
                 f"@ SOA {name_server} hostmaster {serial} 3600 600 86400 0", f"@ NS {name_server}"]
        return lines + [f"{name_server} A {self.server}"]

    def _sign_file(self, zone, lines, out):
        write(f"{out}.plain", "\n".join(lines) + "\n")
        begin, end = (time.strftime("%Y%m%d%H%M%S", time.gmtime(time.time() + s)) for s in (-86400, 60 * 86400))
        run(["ldns-signzone", "-i", begin, "-e", end, "-o", zone, "-f", out, f"{out}.plain", self._key(zone)])

    def _sign(self, zone):
        lines = self._head(zone) + self.records(zone)
        if self._is_signed(zone):
            self._sign_file(zone, lines, f"{self.signed}/{zone}")
        else:
            write(f"{self.signed}/{zone}", "\n".join(lines) + "\n")

    def _sign_root(self):
        lines = self._head(".")
        for zone in self.names():
            lines += [f"{zone}. NS ns.{zone}.", f"ns.{zone}. A {self.server}"]
            if self._is_signed(zone):
                lines += [read(self._key(zone) + ".ds").strip()]
        self._sign_file(".", lines, f"{self.signed}/root")

    def _configure_nsd(self):
        config = _NSD.format(dir=self.folder, server=self.server)
        for zone, file in [(".", "root")] + [(name, name) for name in self.names()]:
            config += f'zone:\n  name: "{zone}"\n  zonefile: "{file}"\n'
        if config == read(f"{self.folder}/nsd.conf"):
            return False
        write(f"{self.folder}/nsd.conf", config)
        return True

    def _reload(self):
        control = ["nsd-control", "-c", f"{self.folder}/nsd.conf"]
        if self._configure_nsd():
            run(control + ["reconfig"])
        run(control + ["reload"])
        self.flush()

    def _publish(self):
        """Signs the root again and waits until the servers have it all."""
        self._sign_root()
        self._reload()
        serial = read(f"{self.signed}/root.plain").split(" SOA ")[1].split()[2]
        wait_for("nsd to serve the new zones", lambda: self._served_serial() == serial, 10)
        self.flush()

    def _served_serial(self):
        out = netns.execute(self.ns, ["drill", f"@{self.server}", ".", "SOA"], check=False).stdout.decode()
        answer = out.partition(";; ANSWER SECTION:\n")[2].split()
        return answer[6] if len(answer) > 6 else None
