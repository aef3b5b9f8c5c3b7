"""restante-fetchd and restante-milter of one site: configuration, start, stop, logs.

The programs are copied into the bed: the users they run as may not be able to reach the build folder.
"""

import glob
import os
import shutil
import time

from . import netns
from .run import BedError, alive, listens, read, stop, wait_for, write

PROGRAMS = {"restante-fetchd": "fetchd", "restante-milter": "milter", "restantectl": "ctl"}


def find_programs(source):
    """Where the programs are: {"from": folder, name: path...}, or None if they are not built. RESTANTE_PREFIX (installed
    programs) goes before RESTANTE_BUILD, that before the newest of the usual build folders."""
    prefix = os.environ.get("RESTANTE_PREFIX")
    if prefix:
        found = _in_folders(prefix, [f"{prefix}/{sub}" for sub in ("sbin", "bin", "usr/sbin", "usr/bin")])
        if not found:
            raise BedError(f"RESTANTE_PREFIX={prefix}: no programs there")
        return found
    build = os.environ.get("RESTANTE_BUILD")
    if build:
        found = _in_build(os.path.abspath(build))
        if not found:
            raise BedError(f"RESTANTE_BUILD={build}: no programs there")
        return found
    builds = [_in_build(f"{source}/build/{preset}") for preset in ("asan", "dev", "release")]
    return max(filter(None, builds), key=lambda found: os.path.getmtime(found["restante-fetchd"]), default=None)


def _in_build(build):
    return _in_folders(build, [build, f"{build}/bin", *(f"{build}/{folder}" for folder in PROGRAMS.values())])


def _in_folders(where, folders):
    found = {"from": where}
    for program in PROGRAMS:
        for folder in folders:
            if os.access(f"{folder}/{program}", os.X_OK) and os.path.isfile(f"{folder}/{program}"):
                found[program] = f"{folder}/{program}"
                break
        else:
            return None
    return found


class Daemons:
    """The two daemons of a site. Folders below the site's: etc, lib (data), run (sockets, pids), log, bin."""

    def __init__(self, bed, site):
        self.bed, self.site = bed, site
        base = site.folder
        self.etc, self.lib, self.run, self.log, self.bin = (f"{base}/{name}" for name in ("etc", "lib", "run", "log", "bin"))
        self.conf = f"{self.etc}/restante.conf"
        self.children = {}

    def create(self, found):
        """Folders with the package's owners and modes, certificates, configuration."""
        for path, owner, mode in ((self.etc, "root", 0o755), (self.lib, "restante", 0o700), (self.run, "restante", 0o755),
                                  (self.log, "root", 0o777), (self.bin, "root", 0o755)):
            os.makedirs(path, exist_ok=True)
            shutil.chown(path, owner, owner)
            os.chmod(path, mode)
        for end in ("crt", "key"):
            path = f"{self.etc}/tls.{end}"
            shutil.copy(f"{self.bed.pki.folder}/pull.{self.site.domain}.{end}", path)
            shutil.chown(path, "restante", "restante")  # it reads them again on SIGHUP
            os.chmod(path, 0o600)
        write(f"{self.etc}/domains", "")
        write(f"{self.etc}/site.keys", f"1 {os.urandom(32).hex()}\n", 0o400)
        shutil.chown(f"{self.etc}/site.keys", "restante", "restante")
        for name in ("tsan.supp", "tsan.milter.supp"):  # copied, as the programs are
            shutil.copy(f"{self.bed.source}/tests/{name}", f"{self.etc}/{name}")
        self.shift_clock(0)
        self.configure()
        self.install(found)

    def install(self, found):
        """Copies the programs (again)."""
        for program in PROGRAMS:
            shutil.copy(found[program], f"{self.bin}/{program}.new")
            os.chmod(f"{self.bin}/{program}.new", 0o755)
            os.rename(f"{self.bin}/{program}.new", f"{self.bin}/{program}")

    def parameters(self):
        """restante.conf of this site, as name -> value."""
        site, bed = self.site, self.bed
        return {
            "config_version": "1",
            "myhostname": f"mx.{site.domain}",
            "local_domains": site.domain,
            "submission_networks": "127.0.0.0/8, [::1]/128",
            "local_socket_directory": self.run,
            "data_directory": self.lib,
            "site_keys_file": f"{self.etc}/site.keys",
            "domains_file": f"{self.etc}/domains",
            "milter_socket": f"unix:{site.mta.queue}/restante/milter.sock",
            "listen_https": f"{site.address}:443, [{site.address6}]:443",
            "tls_certificate_file": f"{self.etc}/tls.crt",
            "tls_key_file": f"{self.etc}/tls.key",
            "tls_ca_file": bed.pki.root,
            "resolver": bed.resolver,
            "letters_in": "127.0.0.1:10025",
            "stubs_out": "127.0.0.1:10026",
            "link_host": f"pull.{site.domain}",
            "allow_special_ranges": f"{bed.net}.0/24, {bed.net6}::/64",
            "user": "restante",
            # As with Postfix: tests shall not wait.
            "retry_min": "1s", "retry_max": "5s", "outbox_retry_min": "1s", "outbox_retry_max": "5s",
        }

    def configure(self, **changes):
        """Writes restante.conf with the bed's values and `changes` (None takes a parameter out). Takes effect at a restart."""
        values = self.parameters() | changes
        write(self.conf, "".join(f"{name} = {value}\n" for name, value in values.items() if value is not None))

    def shift_clock(self, seconds):
        """Moves the daemons' wall clock (test builds); it has moved when this returns: they look once a second."""
        write(f"{self.etc}/clock", f"{seconds}\n")
        if any(map(self.pid, ("fetchd", "milter"))):
            time.sleep(1.05)

    # --- running

    def start(self, **options):
        self.start_one("fetchd", **options)
        self.start_one("milter")

    def start_one(self, name, *, env=None, ready=True):
        """Starts "fetchd" or "milter". env: more environment (RESTANTE_KILL...). ready=False does not wait until it serves."""
        if self.pid(name):
            raise BedError(f"{name} runs already at {self.site.name}")
        argv = [f"{self.bin}/restante-{name}", "-c", self.conf]
        if name == "milter":
            argv = ["setpriv", "--reuid", "restante-milter", "--regid", "restante-milter", "--init-groups", *argv]
        environment = self.sanitized(name)
        environment["RESTANTE_CLOCK_FILE"] = f"{self.etc}/clock"
        environment.update(env or {})
        sockets = {"fetchd": [f"{self.run}/deposit.sock", f"{self.run}/admin.sock"],
                   "milter": [f"{self.site.mta.queue}/restante/milter.sock"]}[name]
        for path in sockets:
            if os.path.exists(path):
                os.unlink(path)
        child = netns.start(self.site.ns, argv, self.log_file(name), env=environment)
        self.children[name] = child
        write(f"{self.run}/{name}.bedpid", f"{child.pid}\n")
        if ready:
            def serves():
                if child.poll() is not None:
                    raise BedError(f"restante-{name} at {self.site.name} ended with status {child.returncode}: "
                                   f"{(read(self.log_file(name)) or '').strip()[-1500:]}")
                # The name is a new one's: what the one before had has none any more.
                return all(os.path.exists(path) and listens(path, child.pid) for path in sockets)
            wait_for(f"restante-{name} at {self.site.name} to serve", serves, 20)

    def stop_one(self, name, *, grace=15):
        """TERM, and KILL after `grace` seconds (0: at once, as a crash would). Returns whether it had to be killed."""
        pid = self.pid(name)
        killed = bool(pid and stop([pid], grace))
        if name in self.children:
            self.children.pop(name).wait()
        return killed

    def restart(self, name, **options):
        self.stop_one(name)
        self.start_one(name, **options)

    def pid(self, name):
        """The process id of a running daemon, or None."""
        child = self.children.get(name)
        if child is not None:
            child.poll()  # a dead child shall not look alive
        text = read(f"{self.run}/{name}.bedpid")
        if not text:
            return None
        pid = int(text)
        command = read(f"/proc/{pid}/cmdline") or ""
        # By its whole path: the number may have become that of another bed's by now.
        return pid if alive(pid) and f"{self.bin}/restante-{name}" in command else None

    def log_file(self, name):
        return f"{self.log}/{name}.log"

    def sanitized(self, name, env=None):
        """An environment (this process's, or env) in which a program of a sanitized build writes its reports into the log
        folder."""
        reports = f"log_path={self.log}/sanitizer.{name}"
        known = f"{self.etc}/tsan{'.milter' if name == 'milter' else ''}.supp"
        return {"ASAN_OPTIONS": f"{reports}:detect_leaks=1:disable_coredump=1:handle_abort=1",
                "UBSAN_OPTIONS": f"{reports}:print_stacktrace=1",
                "TSAN_OPTIONS": f"{reports}:second_deadlock_stack=1:history_size=4:suppressions={known}",
                **(os.environ if env is None else env)}

    def sanitizer_reports(self):
        """What the sanitizers wrote, as file name -> text."""
        return {path: read(path) for path in glob.glob(f"{self.log}/sanitizer.*")}

    def restantectl_argv(self):
        return [f"{self.bin}/restantectl", "-c", self.conf]

    def restantectl(self, *arguments, env=None, **options):
        """restantectl in the site, as root."""
        return netns.execute(self.site.ns, [*self.restantectl_argv(), *arguments], env=self.sanitized("restantectl", env),
                             **options)
