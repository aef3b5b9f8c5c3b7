"""One Postfix instance of a site, with a Dovecot SASL server beside it, all under one folder; /etc/postfix is left alone.

Restante is added as an administrator would: packaging/postfix/*.restante, with the site's domain and paths put in.
"""

import glob
import os
import pwd
import shutil
import signal
import time

from . import netns
from .run import BedError, alive, read, run, stop, wait_for, write

USERS = ("alice", "bob", "carol", "dave", "postmaster", "abuse")
PASSWORD = "secret"

# What main.cf sets more than once by different hands is a list: the later hand appends.
_LISTS = ("smtpd_milters", "virtual_alias_maps", "transport_maps")

_DOVECOT = """base_dir = {dir}/run
state_dir = {dir}/state
log_path = {dir}/log
protocols =
ssl = no
disable_plaintext_auth = no
auth_failure_delay = 0
auth_mechanisms = plain login
auth_username_format = %Lu
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {dir}/users
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home=/nonexistent
}}
service auth {{
  unix_listener {queue}/private/auth {{
    mode = 0660
    user = postfix
    group = postfix
  }}
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
"""


class Mta:
    """Postfix of one domain in the namespace `ns`. chroot: Debian's chroots, else none. source: the project's folder."""

    def __init__(self, ns, folder, domain, chroot, source):
        self.ns, self.folder, self.domain, self.chroot, self.source = ns, folder, domain, chroot, source
        self.conf, self.queue, self.mail = f"{folder}/conf", f"{folder}/queue", f"{folder}/mail"
        self.log = f"{folder}/log/maillog"
        self.main = {}

    # --- set-up

    def create(self, certificate, key, enabled=None, restantectl=None):
        """Writes the instance. certificate, key: files for STARTTLS. enabled: the domains in restante_domains; None is a
        Postfix that knows nothing of Restante. restantectl: argument vector that stands for /usr/bin/restantectl."""
        for path, owner, mode in ((self.folder, "root", 0o755), (self.conf, "root", 0o755), (self.queue, "root", 0o755),
                                  (f"{self.folder}/data", "postfix", 0o700), (self.mail, "mail", 0o755),
                                  (f"{self.folder}/log", "root", 0o755)):
            os.makedirs(path, exist_ok=True)
            shutil.chown(path, owner, owner)
            os.chmod(path, mode)
        mail = pwd.getpwnam("mail")
        self.main = {
            "compatibility_level": "3.6", "queue_directory": self.queue, "data_directory": f"{self.folder}/data",
            "command_directory": "/usr/sbin", "daemon_directory": "/usr/lib/postfix/sbin",
            "shlib_directory": "/usr/lib/postfix", "meta_directory": "/etc/postfix", "mail_owner": "postfix",
            "setgid_group": "postdrop", "sendmail_path": "/usr/sbin/sendmail", "newaliases_path": "/usr/bin/newaliases",
            "mailq_path": "/usr/bin/mailq", "html_directory": "no", "manpage_directory": "/usr/share/man",
            "readme_directory": "no", "multi_instance_name": f"postfix-{self.ns}", "syslog_name": f"postfix-{self.ns}",
            "maillog_file": self.log, "maillog_file_prefixes": "/, /dev/stdout",
            "myhostname": f"mx.{self.domain}", "mydomain": self.domain, "myorigin": "$mydomain",
            "inet_interfaces": "all", "inet_protocols": "all", "mynetworks": "127.0.0.0/8, [::1]/128",
            "mydestination": "", "alias_maps": "", "alias_database": "", "local_recipient_maps": "", "biff": "no",
            "virtual_mailbox_domains": self.domain, "virtual_mailbox_base": self.mail,
            "virtual_mailbox_maps": "inline:{ " + ", ".join(f"{u}@{self.domain}={u}/" for u in USERS) + " }",
            "virtual_uid_maps": f"static:{mail.pw_uid}", "virtual_gid_maps": f"static:{mail.pw_gid}",
            "virtual_minimum_uid": "1", "virtual_mailbox_limit": "0", "mailbox_size_limit": "0",
            "message_size_limit": "209715200", "smtputf8_enable": "yes", "recipient_delimiter": "+",
            "virtual_alias_maps": f"inline:{{ {{ team@{self.domain} = carol@{self.domain}, dave@{self.domain} }} }}",
            "smtp_dns_support_level": "dnssec", "smtp_tls_security_level": "dane", "smtp_tls_loglevel": "1",
            "smtpd_tls_security_level": "may", "smtpd_tls_received_header": "yes",
            "smtpd_tls_chain_files": f"{key}, {certificate}",
            "smtpd_sasl_type": "dovecot", "smtpd_sasl_path": "private/auth", "smtpd_sasl_local_domain": "$mydomain",
            # Tests shall not wait: the queue is looked at every few seconds.
            "minimal_backoff_time": "5s", "maximal_backoff_time": "20s", "queue_run_delay": "5s", "in_flow_delay": "0",
            "smtpd_client_connection_count_limit": "0", "smtpd_error_sleep_time": "0", "smtpd_forbid_bare_newline": "no",
        }
        if enabled is not None:
            self._add_restante_main(enabled)
        self._write_main()
        write(f"{self.conf}/master.cf", self._master(enabled, restantectl))
        self._write_dovecot()
        if enabled is not None:
            self._milter_folder()

    def _snippet(self, name, domains):
        """A file of packaging/postfix with this site's domain in the place of the examples' ones."""
        text = read(f"{self.source}/packaging/postfix/{name}")
        first, second = "a.example", "c.example"
        if len(domains) == 2:
            return text.replace(first, domains[0]).replace(second, domains[1])
        for one in (f", restante@{second}=restante@{second}", f", restante@{second}=restante:", f", {second}"):
            text = text.replace(one, "")
        return text.replace(first, domains[0])

    def _add_restante_main(self, enabled):
        for line in self._snippet("main.cf.restante", enabled).splitlines():
            if not line or line.startswith("#"):
                continue
            name, _, value = (part.strip() for part in line.partition("="))
            if self.main.get(name) and name in _LISTS:
                value = f"{self.main[name]}, {value}"
            self.main[name] = value

    def _master(self, enabled, restantectl):
        lines = []
        for line in read("/usr/share/postfix/master.cf.dist").splitlines():
            words = line.split()
            if not words or line.startswith("#"):
                continue
            if len(words) > 7 and words[7] == "pipe":
                break  # Debian's examples of foreign delivery agents end the file
            lines.append(line)
        text = "\n".join(lines) + "\n" + (
            "submission inet n - y - - smtpd\n"
            "  -o syslog_name=postfix/submission\n"
            "  -o milter_macro_daemon_name=ORIGINATING\n"
            "  -o smtpd_sasl_auth_enable=yes\n"
            "  -o smtpd_client_restrictions=permit_sasl_authenticated,permit_mynetworks,reject\n"
            "  -o smtpd_relay_restrictions=permit_sasl_authenticated,permit_mynetworks,reject\n")
        if enabled is not None:
            services = self._snippet("master.cf.restante", enabled)
            if restantectl:
                services = services.replace("/usr/bin/restantectl", " ".join(restantectl))
            text += "".join(line + "\n" for line in services.splitlines() if line and not line.startswith("#"))
        if not self.chroot:
            text = "\n".join(self._unchrooted(line) for line in text.splitlines()) + "\n"
        return text

    @staticmethod
    def _unchrooted(line):
        words = line.split()
        if line[:1].isspace() or len(words) < 8 or words[4] != "y":
            return line
        return " ".join(words[:4] + ["n"] + words[5:])

    def _write_main(self):
        write(f"{self.conf}/main.cf", "".join(f"{name} = {value}\n" for name, value in self.main.items()))

    def _write_dovecot(self):
        folder = f"{self.folder}/dovecot"
        os.makedirs(folder, exist_ok=True)
        users = "".join(f"{user}@{self.domain}:{{PLAIN}}{PASSWORD}\n" for user in USERS)
        write(f"{folder}/users", users, 0o640)
        shutil.chown(f"{folder}/users", "root", "dovecot")
        write(f"{folder}/dovecot.conf", _DOVECOT.format(dir=folder, queue=self.queue))

    def _milter_folder(self):
        """QUEUE/restante, as the package makes it: the milter's socket gets group postfix by the set-group-id bit."""
        folder = f"{self.queue}/restante"
        os.makedirs(folder, exist_ok=True)
        shutil.chown(folder, "restante-milter", "postfix")
        os.chmod(folder, 0o2750)

    def _fill_chroot(self):
        """What Debian's start script copies into the queue folder for chrooted services."""
        wanted = ["/etc/services", "/etc/hosts", "/etc/nsswitch.conf", "/etc/localtime"]
        for pattern in ("/lib/*/libnss_files*.so*", "/lib/*/libnss_dns*.so*", "/lib/*/libresolv*.so*", "/lib/*/libgcc_s.so*"):
            wanted += glob.glob(pattern)
        for path in wanted:
            if os.path.exists(path):
                os.makedirs(self.queue + os.path.dirname(path), exist_ok=True)
                shutil.copy(path, self.queue + path)
        shutil.copy(f"/etc/netns/{self.ns}/resolv.conf", f"{self.queue}/etc/resolv.conf")

    # --- running

    def start(self):
        if self.chroot:
            self._fill_chroot()
        # After a crash postsuper, which is not root then, has something to say before there is a postlogd.
        with open(self.log, "a", encoding="utf-8"):
            shutil.chown(self.log, "postfix")
        done = netns.execute(self.ns, ["postfix", "-c", self.conf, "start"], check=False, timeout=30)
        if done.returncode != 0 or not self.running():
            # Without a terminal Postfix says nothing of why.
            again = netns.execute(self.ns, ["script", "-qc", f"postfix -c {self.conf} start", "/dev/null"], check=False)
            if not self.running():
                raise BedError(f"Postfix of {self.domain} does not start: {again.stdout.decode(errors='replace')}"
                               f"{(read(self.log) or '')[-1500:]}")
        if not self._pid(f"{self.folder}/dovecot/run/master.pid"):
            # It keeps its stderr open, so that must be a file.
            starter = netns.start(self.ns, ["dovecot", "-c", f"{self.folder}/dovecot/dovecot.conf"],
                                  f"{self.folder}/dovecot/log")
            if starter.wait(timeout=20) != 0:
                raise BedError(f"Dovecot of {self.domain} does not start: {read(f'{self.folder}/dovecot/log')[-1500:]}")

    def stop(self):
        netns.execute(self.ns, ["postfix", "-c", self.conf, "stop"], check=False, timeout=30)
        wait_for(f"Postfix of {self.domain} to stop", lambda: not self.running(), 15)

    def restart(self):
        if self.running():
            self.stop()
        self.start()

    def kill(self):
        """kill -9 to the master and all its children, as a crash would."""
        master = self._pid(f"{self.queue}/pid/master.pid")
        if master:
            os.kill(master, signal.SIGSTOP)  # else it might bear another child, who would keep its listener open
        children = run(["ps", "-o", "pid=", "--ppid", str(master)], check=False).stdout.split() if master else []
        stop([pid for pid in [master, *map(int, children)] if pid], 0)

    def _children(self, name):
        """Process ids of the master's children of this name."""
        master = self._pid(f"{self.queue}/pid/master.pid")
        lines = run(["ps", "-o", "pid=,comm=", "--ppid", str(master)], check=False).stdout.decode().splitlines() if master else []
        return [int(line.split()[0]) for line in lines if line.split()[1:] == [name]]

    def running(self):
        return self._pid(f"{self.queue}/pid/master.pid") is not None

    def postconf(self, **parameters):
        """Sets main.cf parameters (None takes one out) and reloads. Returns what they were, to be given back later."""
        before = {name: self.main.get(name) for name in parameters}
        for name, value in parameters.items():
            if value is None:
                self.main.pop(name, None)
            else:
                self.main[name] = value
        self._write_main()
        if self.running():
            start, old = os.path.getsize(self.log), self._children("smtpd")
            netns.execute(self.ns, ["postfix", "-c", self.conf, "reload"], check=False)
            wait_for("Postfix to reload", lambda: "reload -- version" in read(self.log)[start:], 10)
            # An idle smtpd of before might take the next connection still; one that has a client stays.
            end = time.monotonic() + 0.5
            while any(map(alive, old)) and time.monotonic() < end:
                time.sleep(0.02)
        return before

    def load(self):
        """Knows an instance that another process created."""
        for line in (read(f"{self.conf}/main.cf") or "").splitlines():
            name, _, value = line.partition(" = ")
            self.main[name.removesuffix(" =")] = value

    def sendmail(self, *arguments, letter):
        """sendmail(1) of this instance, as root in the site."""
        return netns.execute(self.ns, ["sendmail", "-C", self.conf, *arguments], input=letter, check=False)

    def letters(self, user):
        """Paths of the letters in a Maildir, oldest first."""
        paths = glob.glob(f"{self.mail}/{user}/new/*") + glob.glob(f"{self.mail}/{user}/cur/*")
        return sorted(paths, key=lambda path: (os.stat(path).st_mtime_ns, path))

    def queued(self):
        """Queue ids of mail that waits here."""
        out = netns.execute(self.ns, ["postqueue", "-c", self.conf, "-j"], check=False).stdout.decode()
        return [line.split('"queue_id": "')[1].split('"')[0] for line in out.splitlines() if '"queue_id"' in line]

    def flush(self):
        """Delivery is tried again at once."""
        netns.execute(self.ns, ["postqueue", "-c", self.conf, "-f"])

    def _pid(self, path):
        text = (read(path) or "").strip()
        return int(text) if text.isdigit() and alive(int(text)) and netns.has(self.ns, int(text)) else None
