"""Configuration: `-n` prints the effective values; an unknown name, a bad value, a missing file is `file:line: message` before
anything is started."""

import os
import re

from harness import check, equal

NEEDS = ("restante",)

BAD = [
    ("no_such_parameter = 1", "no_such_parameter"),
    ("letter_max = many", "letter_max"),
    ("letter_max = 1", "letter_max"),
    ("retry_min = 1d\nretry_max = 1h", "retry_max"),
    ("submission_networks = 10.0.0.1/8", "submission_networks"),
    ("submission_networks = nonsense", "submission_networks"),
    ("listen_https = :99999", "listen_https"),
    ("link_host = https://x/", "link_host"),
    ("letters_in = 127.0.0.1", "letters_in"),
    ("log_level = loud", "log_level"),
    ("data_directory = relative/path", "data_directory"),
    ("config_version = 2", "config_version"),
    ("stub_subject = maybe", "stub_subject"),
    ("resolver = 300.1.1.1", "resolver"),
    ("retention = -1d", "retention"),
    ("quota_sender = lots", "quota_sender"),
    ("quota_domain_letters = -1", "quota_domain_letters"),
    ("quota_reserve_percent = 101", "quota_reserve_percent"),
    ("retract_forbidden = alice@a.test", "retract_forbidden"),
    ("replace_forbidden = a.test; c.test", "replace_forbidden"),
    ("= value", ""),
    ("a line without an equals sign", ""),
]


def run(bed, program, conf, *options):
    return bed.a.exec([f"{bed.a.daemons.bin}/restante-{program}", *options, "-c", conf], check=False, timeout=20)


def write(bed, text):
    path = f"{bed.a.daemons.etc}/tried.conf"
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def test_effective_values(bed):
    """-n: every parameter of that program with its value, the file's and the defaults, readable by itself again."""
    for program, mine, foreign in (("fetchd", "listen_https", "milter_socket"), ("milter", "milter_socket", "listen_https")):
        done = run(bed, program, bed.a.daemons.conf, "-n")
        equal(done.returncode, 0, f"{program} -n: {done.stderr!r}")
        lines = done.stdout.decode().splitlines()
        check(any(line.startswith(f"{mine} = ") for line in lines), f"{program}: {mine} is not shown")
        check(not any(line.startswith(f"{foreign} =") for line in lines), f"{program}: {foreign} is shown")
        check("submission_networks = 127.0.0.0/8, ::1/128" in lines or any(
            re.match(r"submission_networks = 127\.0\.0\.0/8,? \[?::1\]?/128", line) for line in lines), "a value of the file")
        again = run(bed, program, write(bed, done.stdout.decode()), "-n")
        equal(again.stdout, done.stdout, f"{program} -n of its own output ({again.stderr!r})")
    equal(run(bed, "fetchd", write(bed, ""), "-n").returncode in (0, 1, 78), True, "an empty file")


def test_errors_name_file_and_line(bed):
    """Each of many mistakes, by -n and by a real start alike; nothing is started."""
    base = "".join(f"{name} = {value}\n" for name, value in bed.a.daemons.parameters().items())
    wrong = []
    for text, name in BAD:
        first = text.split("\n", maxsplit=1)[0].split(" =")[0]
        kept = "".join(line for line in base.splitlines(True) if line.split(" =")[0] not in
                       (first, *(part.split(" =")[0] for part in text.splitlines())))
        path = write(bed, "# a comment\n\n" + kept + text + "\n")
        number = 2 + kept.count("\n") + 1 + text.count("\n")
        for options in (["-n"], []):
            done = run(bed, "fetchd", path, *options)
            said = (done.stderr + done.stdout).decode()
            if done.returncode == 0 or f"{path}:" not in said or name not in said:
                wrong.append(f"{text!r} {options}: status {done.returncode}, said {said[:200]!r}")
            elif f"{path}:{number}:" not in said:
                wrong.append(f"{text!r} {options}: not line {number}: {said[:200]!r}")
    check(not wrong, "; ".join(wrong))


def test_missing_files(bed):
    """No configuration, no site key, no certificate: said with the file's name."""
    values = bed.a.daemons.parameters()
    done = run(bed, "fetchd", "/nonexistent/restante.conf", "-n")
    check(done.returncode != 0 and b"/nonexistent/restante.conf" in done.stderr + done.stdout, f"no configuration: {done}")
    for name in ("site_keys_file", "tls_certificate_file", "tls_key_file"):
        changed = values | {name: "/nonexistent/file", "local_socket_directory": bed.a.daemons.etc, "data_directory": f"{bed.a.folder}/x"}
        path = write(bed, "".join(f"{key} = {value}\n" for key, value in changed.items()))
        done = run(bed, "fetchd", path)
        check(done.returncode != 0 and b"/nonexistent/file" in done.stderr + done.stdout, f"{name}: {done}")


def test_files_that_do_not_fit(bed):
    """-n names each file that the daemon's user cannot read, or that is not what it should be, by the line that names it; a site
    key that the first start will make is not missed."""
    good = bed.a.daemons.parameters()
    other = f"{bed.a.daemons.etc}/tried"
    os.makedirs(other, exist_ok=True)

    def file(name, content, mode=0o644):
        with open(f"{other}/{name}", "wb") as f:
            f.write(content)
        os.chmod(f"{other}/{name}", mode)
        return f"{other}/{name}"

    def read(path):
        with open(path, "rb") as f:
            return f.read()
    certificate, key = bed.pki.issue("tried.test", ["tried.test"])
    hidden = file("hidden", read(good["tls_key_file"]), 0o600)  # root's alone
    nonsense, absent = file("nonsense", b"-----BEGIN nothing\n"), f"{other}/absent"
    strange = {"tls_key_file": file("strange.key", read(key))}
    cases = [(strange, {"tls_key_file": "mismatch"})]
    for name in ("tls_certificate_file", "tls_key_file", "tls_ca_file", "domains_file", "site_keys_file"):
        cases.append(({name: hidden}, {name: "Permission denied"}))
        if name != "domains_file":
            cases.append(({name: nonsense}, {name: "nonsense"}))
        if name not in ("domains_file", "site_keys_file"):
            cases.append(({name: absent}, {name: "No such file"}))
    client = {"client_certificate_file": file("client.crt", read(certificate)), "client_key_file": absent}
    cases += [(client, {"client_key_file": "No such file"}),
              (client | {"client_key_file": good["tls_key_file"]}, {"client_key_file": "mismatch"}),
              ({"tls_certificate_file": absent, "tls_key_file": absent, "listen_https": ""}, {}),
              ({"site_keys_file": absent}, {"site_keys_file": "No such file"}),
              ({"site_keys_file": absent, "data_directory": f"{other}/new"}, {}),
              ({"tls_certificate_file": absent, "tls_key_file": hidden, "tls_ca_file": nonsense},
               {"tls_certificate_file": "No such file", "tls_key_file": "Permission denied", "tls_ca_file": "nonsense"})]
    wrong = []
    for changes, want in cases:
        values = good | changes
        path = write(bed, "".join(f"{name} = {value}\n" for name, value in values.items()))
        done = run(bed, "fetchd", path, "-n")
        said = done.stderr.decode().splitlines()
        lines = {name: f"{path}:{1 + list(values).index(name)}: {name}: " for name in want}
        if done.returncode != (78 if want else 0) or len(said) != len(want) or not all(
                any(line.startswith(lines[name]) and words in line for line in said) for name, words in want.items()):
            wrong.append(f"{changes}: status {done.returncode}, said {said}")
    check(not wrong, "; ".join(wrong))


def test_wrong_options(bed):
    """An unknown option is a usage."""
    for program in ("fetchd", "milter"):
        done = run(bed, program, bed.a.daemons.conf, "--nonsense")
        check(done.returncode != 0 and b"usage" in (done.stderr + done.stdout).lower(), f"{program}: {done}")


def test_a_second_fetchd_refuses(bed):
    """The store is locked: a second fetchd on it says so and ends; the first is unharmed."""
    done = run(bed, "fetchd", bed.a.daemons.conf)
    check(done.returncode != 0 and done.stderr.strip(), f"it started: {done}")
    check(bed.a.daemons.pid("fetchd"), "the first one died")
    equal(bed.a.daemons.restantectl("status", check=False).returncode, 0, "the first one's answer")
