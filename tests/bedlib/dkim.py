"""A DKIM signer (opendkim) at a site, ahead of restante-milter, and verification of what arrived."""

import base64
import os
import shutil

import dkim

from . import netns
from .run import alive, read, run, stop, wait_for, write

PORT = 8891


class Signer:
    """Signs what the site sends, `simple/simple`, so that one altered octet is noticed. A context manager: with it open,
    smtpd_milters has the signer first; afterwards all is as before.
    """

    def __init__(self, site, selector="bed"):
        self.site, self.selector = site, selector
        self.folder = f"{site.folder}/dkim"

    def __enter__(self):
        os.makedirs(self.folder, exist_ok=True)
        key = f"{self.folder}/key.pem"
        run(["openssl", "genrsa", "-out", key, "2048"])
        os.chmod(key, 0o600)
        shutil.chown(key, "opendkim", "opendkim")
        public = run(["openssl", "rsa", "-in", key, "-pubout", "-outform", "DER"]).stdout
        text = "v=DKIM1; k=rsa; p=" + base64.b64encode(public).decode()
        parts = " ".join(f'"{text[at:at + 200]}"' for at in range(0, len(text), 200))
        self.owner = f"{self.selector}._domainkey TXT"
        self.site.bed.dns.replace(self.site.domain, self.owner, f"{self.owner} {parts}")
        write(f"{self.folder}/conf", f"Syslog no\nLogResults no\nUserID opendkim\nMode s\nSocket inet:{PORT}@127.0.0.1\nDomain "
              f"{self.site.domain}\nSelector {self.selector}\nKeyFile {key}\nRequireSafeKeys no\nCanonicalization simple/simple\n"
              "InternalHosts 127.0.0.1\nOversignHeaders From\n")
        self.child = netns.start(self.site.ns, ["opendkim", "-f", "-x", f"{self.folder}/conf"], f"{self.folder}/log")
        wait_for("opendkim", lambda: str(PORT).encode() in self.site.exec(["ss", "-ltn"]).stdout or self.child.poll() is not None)
        if self.child.poll() is not None:
            raise RuntimeError(f"opendkim ended: {read(f'{self.folder}/log')}")
        before = self.site.mta.main.get("smtpd_milters")
        self.before = self.site.mta.postconf(smtpd_milters=", ".join(filter(None, [f"inet:127.0.0.1:{PORT}", before])))
        return self

    def __exit__(self, *_):
        self.site.mta.postconf(**self.before)
        if alive(self.child.pid):
            stop([self.child.pid], 0)  # libmilter takes four seconds to end by itself
        self.child.wait()
        self.site.bed.dns.replace(self.site.domain, self.owner)


def verifies(bed, raw):
    """Whether the first DKIM signature of a letter (LF or CRLF) holds, by the bed's DNS."""
    def text(name, timeout=5):
        _, _, data = bed.dns.ask((name.decode() if isinstance(name, bytes) else name).rstrip("."), "TXT")
        return "".join(data[0].split('"')[1::2]).encode() if data else None
    return dkim.verify(raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"), dnsfunc=text)
