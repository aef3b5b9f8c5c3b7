"""Who may deposit, and to whom the letter belongs: authenticated sessions, submission networks, sendmail(1); never a
stranger whose mail is relayed."""

from harness import Smtp, check, equal, letter, submit
from restante import Sink, bare_id, configured, mail_records, main_cf, tickets, zones

NEEDS = ("restante",)
FAR = "v=restante1; h=pull.far.test; r=1"


def found(bed, raw):
    return tickets(bed.a, message_id=bare_id(raw))


def test_those_who_may(bed):
    """A login (owner: the user, whatever the reverse-path), the submission network and sendmail(1) (owner: reverse-path)."""
    with Sink(bed.x) as sink, zones(bed, far=mail_records(bed.x.address, FAR)):
        raw = letter("carol@a.test", "bob@far.test")
        with Smtp(bed.a, port=587) as smtp:
            smtp.login("alice@a.test")
            smtp.send("carol@a.test", ["bob@far.test"], raw)
        equal([t["owner"] for t in found(bed, raw)], ["alice@a.test"], "owner of an authenticated letter")
        equal([t["sender"] for t in found(bed, raw)], ["carol@a.test"], "sender of an authenticated letter")

        raw = letter("dave@a.test", "bob@far.test")
        submit(bed.a, "dave@a.test", ["bob@far.test"], raw, login=False)
        equal([t["owner"] for t in found(bed, raw)], ["dave@a.test"], "owner of a letter from the submission network")

        raw = letter("bob@a.test", "bob@far.test")
        bed.a.mta.sendmail("-i", "-f", "bob@a.test", "bob@far.test", letter=raw.replace(b"\r\n", b"\n"))
        sink.wait(3)
        equal([t["owner"] for t in found(bed, raw)], ["bob@a.test"], "owner of a letter by sendmail(1)")
        check(all(b"\nRestante-Stub:" in mail.raw for mail in sink.mails), "a letter went plain")


def test_a_relayed_stranger_may_not(bed):
    """A backup MX: a stranger's mail is relayed by a to a domain that takes stubs, even with a sender of ours: no ticket."""
    with Sink(bed.x) as sink, zones(bed, far=mail_records(bed.x.address, FAR)), \
            main_cf(bed.a, relay_domains="far.test"):
        for number, sender in enumerate(("eve@c.test", "alice@a.test"), 1):
            raw = letter(sender, "bob@far.test")
            with Smtp(bed.x, to=bed.a.address) as smtp:
                smtp.send(sender, ["bob@far.test"], raw)
            mail = sink.wait(number)[-1]
            check(raw in mail.raw, "the relayed letter did not arrive as it was")
            equal(found(bed, raw), [], f"tickets of a relayed letter of {sender}")


def test_a_disabled_sender_gets_none(bed):
    """An authenticated user who writes as a domain that is not enabled."""
    with Sink(bed.x) as sink, zones(bed, far=mail_records(bed.x.address, FAR)):
        raw = letter("alice@elsewhere.test", "bob@far.test")
        with Smtp(bed.a, port=587) as smtp:
            smtp.login("alice@a.test")
            smtp.send("alice@elsewhere.test", ["bob@far.test"], raw)
        check(raw in sink.one().raw, "the letter did not go plain")
        equal(found(bed, raw), [], "tickets")


def test_submission_networks_are_configured(bed):
    """A network taken out of submission_networks may not deposit any more without a login."""
    with Sink(bed.x) as sink, zones(bed, far=mail_records(bed.x.address, FAR)):
        bed.a.daemons.configure(submission_networks="192.0.2.0/24")
        bed.a.daemons.restart("milter")
        try:
            with configured(bed.a, submission_networks="192.0.2.0/24"):
                raw = letter("dave@a.test", "bob@far.test")
                submit(bed.a, "dave@a.test", ["bob@far.test"], raw, login=False)
                check(raw in sink.wait(1)[0].raw, "the letter did not go plain")
                raw = letter("alice@a.test", "bob@far.test")
                submit(bed.a, "alice@a.test", ["bob@far.test"], raw)
                check(b"\nRestante-Stub:" in sink.wait(2)[1].raw, "a letter with a login went plain")
        finally:
            bed.a.daemons.configure()
            bed.a.daemons.restart("milter")
