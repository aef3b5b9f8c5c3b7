"""The test CA: ECDSA P-256, a root and an intermediate; certificates of any badness for tests."""

import os
import time

from .run import read, run, write

_CONFIG = """
[ca]
default_ca = this
[this]
dir = {dir}
database = {dir}/index
serial = {dir}/serial
new_certs_dir = {dir}/issued
certificate = {dir}/{name}.crt
private_key = {dir}/{name}.key
default_md = sha256
default_crl_days = 1
crlnumber = {dir}/crlnumber
policy = any
unique_subject = no
copy_extensions = none
[any]
commonName = supplied
[req]
distinguished_name = dn
[dn]
"""


def _stamp(seconds_from_now):
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + seconds_from_now))


class Pki:
    """Files in `folder`: root.crt (what clients trust), intermediate.crt, NAME.key, NAME.crt (chain: leaf, intermediate)."""

    def __init__(self, folder):
        self.folder = folder
        self.root = f"{folder}/root.crt"

    def create(self):
        """Root (10 years) and intermediate (6 days, as the leafs: nothing of the ordinary bed needs a revocation check)."""
        os.makedirs(self.folder, exist_ok=True)
        for name in ("root", "intermediate"):
            self._folder(name)
        root = f"{self.folder}/root.ca/root"
        self._key(f"{root}.key")
        run(["openssl", "req", "-x509", "-new", "-config", f"{self.folder}/root.ca/config", "-key", f"{root}.key", "-days",
             "3650", "-subj", "/CN=Restante test root", "-addext", "basicConstraints=critical,CA:TRUE", "-addext",
             "keyUsage=critical,keyCertSign,cRLSign", "-addext", "subjectKeyIdentifier=hash", "-out", f"{root}.crt"])
        write(self.root, read(f"{root}.crt"))
        between = f"{self.folder}/intermediate.ca/intermediate"
        self._key(f"{between}.key")
        self._sign("root", f"{between}.key", f"{between}.crt", "Restante test intermediate", -86400, 5 * 86400,
                   "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n"
                   "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
        write(f"{self.folder}/intermediate.crt", read(f"{between}.crt"))

    def issue(self, name, hosts, *, start=-86400, end=5 * 86400, by="intermediate", extensions="", chain=True):
        """Issues NAME.key and NAME.crt for the host names `hosts`. start and end are seconds from now, so end=-60 is an
        expired one; the default life of six days needs no revocation check. by: "intermediate", "root", an authority's
        name, or "self" (a self-signed one). extensions: further lines of an openssl extension section (e.g. crlDistributionPoints=URI:...).
        chain=False leaves the intermediate out of NAME.crt. Returns (certificate file, key file)."""
        key, certificate = f"{self.folder}/{name}.key", f"{self.folder}/{name}.crt"
        self._key(key)
        usage = ("basicConstraints=CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n"
                 + "subjectAltName=" + ",".join(f"DNS:{host}" for host in hosts) + "\n" + extensions + "\n")
        if by == "self":
            write(f"{certificate}.ext", "[v]\n" + usage)
            write(f"{certificate}.req", "[req]\ndistinguished_name=dn\n[dn]\n" + "[v]\n" + usage)
            run(["openssl", "req", "-x509", "-new", "-config", f"{certificate}.req", "-extensions", "v", "-key", key, "-days",
                 "5", "-subj", f"/CN={hosts[0]}", "-out", certificate])
        else:
            self._sign(by, key, certificate, hosts[0], start, end,
                       usage + "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
            if chain and by != "root":
                write(certificate, read(certificate) + read(f"{self.folder}/{by}.crt"))
        return certificate, key

    def authority(self, name, *, end=365 * 86400, extensions=""):
        """A further intermediate under the root, for issue(by=name); its certificate is NAME.crt."""
        self._folder(name)
        base = f"{self.folder}/{name}.ca/{name}"
        self._key(f"{base}.key")
        self._sign("root", f"{base}.key", f"{base}.crt", f"Restante test {name}", -86400, end,
                   "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n"
                   f"subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n{extensions}\n")
        write(f"{self.folder}/{name}.crt", read(f"{base}.crt"))

    def revoke(self, name, by="intermediate"):
        run(["openssl", "ca", "-config", f"{self.folder}/{by}.ca/config", "-revoke", f"{self.folder}/{name}.crt"])

    def crl(self, path, by="intermediate", *, start=-3600, end=86400):
        """Writes the CRL of an issuer (DER), in force from start to end (seconds from now)."""
        run(["openssl", "ca", "-config", f"{self.folder}/{by}.ca/config", "-gencrl", "-crl_lastupdate", _stamp(start),
             "-crl_nextupdate", _stamp(end), "-out", f"{path}.pem"])
        run(["openssl", "crl", "-in", f"{path}.pem", "-outform", "DER", "-out", path])

    def tlsa(self, certificate, usage=3):
        """The data of a TLSA 3 1 1 (or 2 1 1) record for a certificate file."""
        public = run(["openssl", "x509", "-in", certificate, "-pubkey", "-noout"]).stdout
        der = run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=public).stdout
        digest = run(["openssl", "dgst", "-sha256", "-r"], input=der).stdout.split()[0].decode()
        return f"{usage} 1 1 {digest}"

    def _folder(self, name):
        base = f"{self.folder}/{name}.ca"
        os.makedirs(f"{base}/issued", exist_ok=True)
        write(f"{base}/index", "")
        write(f"{base}/serial", "1000\n")
        write(f"{base}/crlnumber", "1000\n")
        write(f"{base}/config", _CONFIG.format(dir=base, name=name))

    def _key(self, path):
        run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path])
        os.chmod(path, 0o600)

    def _sign(self, by, key, out, common_name, start, end, extensions):
        config = f"{self.folder}/{by}.ca/config"
        run(["openssl", "req", "-new", "-config", config, "-key", key, "-subj", f"/CN={common_name}", "-out", f"{out}.csr"])
        write(f"{out}.ext", extensions)
        run(["openssl", "ca", "-batch", "-notext", "-config", config, "-in", f"{out}.csr", "-out", out, "-startdate",
             _stamp(start), "-enddate", _stamp(end), "-extfile", f"{out}.ext"])
        for suffix in ("csr", "ext"):
            os.remove(f"{out}.{suffix}")
