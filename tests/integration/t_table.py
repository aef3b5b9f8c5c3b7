"""The administrator's table: pull is never plain, plain is never a stub, auto asks DNS; the most telling line wins."""

import os
import signal

from harness import Refused, check, equal, letter, submit
from restante import Sink, bare_id, fetchd_log, mail_records, table, tickets, zones

NEEDS = ("restante",)


def is_stub(bed, to, sink):
    raw, count = letter(to=to), len(sink.mails)
    submit(bed.a, "alice@a.test", [to], raw)
    mail = sink.wait(count + 1)[-1]
    check((b"\nRestante-Stub:" in mail.raw) == bool(tickets(bed.a, message_id=bare_id(raw))), "stub and ticket disagree")
    return b"\nRestante-Stub:" in mail.raw


def refused(bed, recipients):
    """The answer to a letter that must not go; nothing of it remains."""
    raw = letter(to=recipients[0])
    try:
        submit(bed.a, "alice@a.test", recipients, raw)
    except Refused as e:
        equal(tickets(bed.a, message_id=bare_id(raw)), [], "tickets of a refused letter")
        return e.code, e.text[:5]
    return None


def test_lines(bed):
    """domain, .domain, user@domain."""
    yes = "v=restante1; h=pull.{0}.test; r=1"
    records = {name: mail_records(bed.x.address, yes.format(name)) for name in ("one", "two", "three")}
    records["four"] = mail_records(bed.x.address, yes.format("four") + "; t=y")
    records["three"] += ["sub MX 10 mx", '_restante.sub TXT "v=restante1; h=pull.sub.three.test; r=1"']
    with Sink(bed.x) as sink, zones(bed, **records), table(bed.a, "# a comment", "one.test plain", "carol@one.test auto",
                                                          ".three.test  plain", "four.test pull", "", "bob@two.test plain"):
        want = {"bob@one.test": False, "carol@one.test": True, "bob@two.test": False, "dave@two.test": True,
                "bob@three.test": True, "bob@sub.three.test": False, "bob@four.test": True}
        equal({to: is_stub(bed, to, sink) for to in want}, want, "stubs")


def test_everybody(bed):
    """A dot is everybody whom no other line names: a site that receives stubs and sends none but to a partner."""
    records = {name: mail_records(bed.x.address, f"v=restante1; h=pull.{name}.test; r=1") for name in ("one", "two")}
    with Sink(bed.x) as sink, zones(bed, **records), table(bed.a, ". plain", "one.test auto"):
        want = {"bob@one.test": True, "bob@two.test": False}
        equal({to: is_stub(bed, to, sink) for to in want}, want, "stubs")


def test_pull_is_never_plain(bed):
    """A domain in the table as pull that does not take stubs, or whose DNS fails: 451 4.4.3, also for the others of that
    letter, and nobody gets anything."""
    records = {"mute": mail_records(bed.x.address),
               "fails": mail_records(bed.x.address, "v=restante1; h=pull.fails.test; r=1")}
    with Sink(bed.x) as sink, zones(bed, **records), table(bed.a, "mute.test pull", "fails.test pull"):
        equal(refused(bed, ["bob@mute.test"]), (451, "4.4.3"), "a domain without designation")
        bed.dns.break_signatures("fails.test")
        equal(refused(bed, ["bob@fails.test"]), (451, "4.4.3"), "a domain whose DNS fails")
        equal(refused(bed, ["bob@fails.test", "bob@c.test"]), (451, "4.4.3"), "the same with a plain one beside it")
        equal(sink.mails, [], "mails that went out")


def test_table_in_error(bed):
    """A word that is none of the three: fetchd says file:line and does not start."""
    path = f"{bed.a.daemons.etc}/domains.bad"
    with open(path, "w", encoding="utf-8") as f:
        f.write("# table\none.test pull\ntwo.test pulled\n")
    conf = f"{bed.a.daemons.etc}/bad-table.conf"
    values = bed.a.daemons.parameters() | {"domains_file": path}
    with open(conf, "w", encoding="utf-8") as f:
        f.write("".join(f"{name} = {value}\n" for name, value in values.items()))
    done = bed.a.exec([f"{bed.a.daemons.bin}/restante-fetchd", "-n", "-c", conf], check=False)
    check(done.returncode != 0, "fetchd -n accepted it")
    check(f"{path}:3:" in (done.stderr + done.stdout).decode(), f"what it said: {done.stderr!r}")


def test_reload(bed):
    """SIGHUP: the table is read again while fetchd runs; one in error changes nothing and is named."""
    path = f"{bed.a.daemons.etc}/domains"

    def reload_with(line, says):
        with open(path, "w", encoding="utf-8") as f:
            f.write(line)
        log = fetchd_log(bed.a)
        os.kill(bed.a.daemons.pid("fetchd"), signal.SIGHUP)
        log.wait(says, 5)

    yes = mail_records(bed.x.address, "v=restante1; h=pull.one.test; r=1")
    with Sink(bed.x) as sink, zones(bed, one=yes), table(bed.a):
        check(is_stub(bed, "bob@one.test", sink), "a stub at first")
        reload_with("one.test plain\n", "table of domains read again")
        check(not is_stub(bed, "bob@one.test", sink), "plain after the reload")
        reload_with("one.test plainly\n", f"the old table of domains stays: {path}:1:")
        check(not is_stub(bed, "bob@one.test", sink), "as before after a table in error")
