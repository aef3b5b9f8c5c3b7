"""Sendmail in the place of a site's Postfix, from packages that are unpacked, not installed: as a package it would remove
Postfix. Restante is added as an administrator would: packaging/sendmail/restante.mc, with the site's domain and paths put in.

    with Sendmail(bed.a) as mta: ...      # the site's Postfix is stopped; afterwards all is as before
"""

import glob
import os
import shutil

from . import netns
from .mta import USERS
from .run import BedError, alive, listens, read, run, stop, wait_for, write

# Delivers one letter into the Maildir that the site's Postfix has, so that whoever looks there need not know the MTA.
_DELIVER = """#!/bin/sh
case $1 in
{users}) ;;
*) echo "550 5.1.1 User unknown"; exit 67 ;;
esac
mkdir -p "{mail}/$1/new" "{mail}/$1/tmp" && chown --reference="{mail}" "{mail}/$1" "{mail}/$1/new" "{mail}/$1/tmp" && cat >"{mail}/$1/tmp/$$" && mv "{mail}/$1/tmp/$$" "{mail}/$1/new/$(date +%s%N).$$.sendmail"
"""

_SITE = """divert(0)dnl
OSTYPE(`linux')dnl
DOMAIN(`generic')dnl
define(`confDOMAIN_NAME', `mx.{domain}')dnl
define(`confCW_FILE', `-o /nonexistent')dnl
LOCAL_DOMAIN(`{domain}')dnl
define(`QUEUE_DIR', `{folder}/queue')dnl
define(`STATUS_FILE', `{folder}/status')dnl
define(`confPID_FILE', `{folder}/pid')dnl
define(`ALIAS_FILE', `')dnl
define(`HELP_FILE', `')dnl
define(`confSERVICE_SWITCH_FILE', `{folder}/service.switch')dnl
define(`confTRUSTED_USER', `root')dnl
define(`confDONT_PROBE_INTERFACES', `True')dnl
define(`confDONT_BLAME_SENDMAIL', `GroupWritableDirPathSafe')dnl
define(`confMIN_QUEUE_AGE', `0')dnl
define(`confTO_IDENT', `0')dnl
define(`confCACERT_PATH', `{tls}')dnl
define(`confCACERT', `{tls}/root.crt')dnl
define(`confSERVER_CERT', `{tls}/mx.crt')dnl
define(`confSERVER_KEY', `{tls}/mx.key')dnl
define(`confCLIENT_CERT', `{tls}/mx.crt')dnl
define(`confCLIENT_KEY', `{tls}/mx.key')dnl
define(`LOCAL_MAILER_PATH', `{folder}/deliver')dnl
define(`LOCAL_MAILER_ARGS', `deliver $u')dnl
define(`LOCAL_MAILER_FLAGS', `nS')dnl
MODIFY_MAILER_FLAGS(`LOCAL', `-wA')dnl
define(`LOCAL_SHELL_PATH', `/bin/false')dnl
FEATURE(`nocanonify')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`no_default_msa')dnl
DAEMON_OPTIONS(`Name=MTA, Family=inet6, Port=25')dnl
DAEMON_OPTIONS(`Name=MSA, Family=inet, Addr=127.0.0.1, Port=587, M=E')dnl
MAILER(`local')dnl
MAILER(`smtp')dnl
"""

# What each listener refuses: the stub to refused@, the letter called for to gone@.
_REFUSALS = """
LOCAL_RULESETS
SLocal_check_rcpt
R$*				$: $&{daemon_name} $| $1
Rstubs-out $| $* refused $*	$#error $@ 5.7.1 $: "550 5.7.1 no stubs for him"
Rletters-in $| $* gone $*	$#error $@ 5.1.1 $: "550 5.1.1 he is gone"
R$* $| $*			$: $2
"""


def unpacked(source):
    """Where packaging/unpack-packages has put Sendmail, or None."""
    root = f"{source}/build/unpacked/root"
    return root if os.access(f"{root}/usr/libexec/sendmail/sendmail", os.X_OK) else None


class Sendmail:
    """restante-milter and restante-fetchd of the site go on with this MTA."""

    def __init__(self, site):
        self.site, self.folder = site, f"{site.folder}/sendmail"
        self.root = unpacked(site.bed.source)
        # Sendmail uses neither a milter's socket nor a key below a folder that everybody may write to, as /tmp.
        self.run = f"/run/restante-{site.bed.name}"
        self.socket, self.tls = f"{self.run}/milter/milter.sock", f"{self.run}/tls"
        # It asks for its machine's own name first, and sleeps a minute when nobody knows it.
        self.hosts = f"/etc/netns/{site.ns}/hosts"
        self.child = None

    def __enter__(self):
        if not self.root:
            raise BedError("Sendmail is not unpacked: packaging/unpack-packages build/unpacked")
        self._write()
        self.site.mta.stop()
        daemons = self.site.daemons
        try:
            daemons.configure(milter_socket=f"unix:{self.socket}")
            daemons.stop_one("milter")
            daemons.start_one("milter", ready=False)
            wait_for("the milter's socket", lambda: listens(self.socket, daemons.pid("milter") or "self"))
            daemons.restart("fetchd")
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.child:
            stop([self.child.pid, *self._others()], 2)
            self.child.wait()
        daemons = self.site.daemons
        daemons.stop_one("milter")
        daemons.configure()
        self.site.mta.start()
        daemons.start_one("milter")
        daemons.restart("fetchd")
        shutil.rmtree(self.run, ignore_errors=True)
        os.unlink(self.hosts)

    def _others(self):
        """Processes of this Sendmail that deliver or listen."""
        binary = os.path.realpath(f"{self.root}/usr/libexec/sendmail/sendmail")
        return [pid for pid in netns.pids(self.site.ns) if _exe(pid) == binary]

    def _write(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(f"{self.folder}/queue", 0o700)
        domain, daemons = self.site.domain, self.site.daemons
        shutil.rmtree(self.run, ignore_errors=True)
        os.makedirs(os.path.dirname(self.socket))
        shutil.chown(os.path.dirname(self.socket), "restante-milter", "root")
        os.chmod(os.path.dirname(self.socket), 0o2750)
        os.makedirs(self.tls, 0o700)
        pki = self.site.bed.pki
        shutil.copy(pki.root, self.tls)
        for end in ("crt", "key"):
            shutil.copy(f"{pki.folder}/mx.{domain}.{end}", f"{self.tls}/mx.{end}")
            os.chmod(f"{self.tls}/mx.{end}", 0o600)
        write(self.hosts, f"127.0.0.1 localhost\n{self.site.address} mx.{domain} {os.uname().nodename}\n")
        write(f"{self.folder}/service.switch", "hosts files dns\n")
        write(f"{self.folder}/deliver", _DELIVER.format(users="|".join(USERS), mail=self.site.mta.mail), 0o755)
        snippet = read(f"{self.site.bed.source}/packaging/sendmail/restante.mc")
        for old, new in (("a.example, c.example", domain), ("/run/restante-milter/milter.sock", self.socket),
                         ("P=/usr/bin/restantectl", f"P={daemons.bin}/restantectl"),
                         ("A=restantectl", f"A=restantectl -c {daemons.conf}")):
            if old not in snippet:
                raise BedError(f"packaging/sendmail/restante.mc lacks {old}")
            snippet = snippet.replace(old, new)
        cf = f"{self.root}/usr/share/sendmail/cf"
        text = f"define(`_CF_DIR_', `{cf}/')dnl\ninclude(`{cf}/m4/cf.m4')dnl\n" + _SITE.format(folder=self.folder, domain=domain, tls=self.tls)
        write(f"{self.folder}/sendmail.mc", text + snippet + _REFUSALS)
        write(f"{self.folder}/sendmail.cf", run(["m4", f"{self.folder}/sendmail.mc"]).stdout)

    def _start(self):
        self.child = netns.start(self.site.ns, [f"{self.root}/usr/libexec/sendmail/sendmail", f"-C{self.folder}/sendmail.cf", "-bD",
                                                "-q5s", "-X", f"{self.folder}/traffic"], f"{self.folder}/log")

        def listens():
            if self.child.poll() is not None:
                raise BedError(f"Sendmail at {self.site.name} ended: {read(f'{self.folder}/log')}")
            out = self.site.exec(["ss", "-ltnH"]).stdout.decode()
            return all(f":{port} " in out for port in (25, 587, 10025, 10026))
        wait_for("Sendmail to listen", listens, 30)

    def queued(self):
        """Names of the messages that wait."""
        return [os.path.basename(path)[2:] for path in glob.glob(f"{self.folder}/queue/qf*")]


def _exe(pid):
    try:
        return os.path.realpath(f"/proc/{pid}/exe") if alive(pid) else None
    except OSError:
        return None
