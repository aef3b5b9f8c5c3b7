"""The milter and inbound stubs: fetchd is told of a stub and says what becomes of it."""

import base64

from harness import check, equal
from localapi import STUB, error, verdicts
from milterlib import Milter

BED = "plain"
VALUE = b" v=1; u=https://pull.b.test/restante/1/AAAA/BBBB;\r\n  a=xyz"
RAW = (b"From: Bob <bob@b.test>\r\nRestante-Stub:" + VALUE + b"\r\nTo: alice@a.test\r\nMessage-ID: <stub1@b.test>\r\n\r\n"
       b"A letter waits for you.\r\n")
SENDER, RECIPIENT = ["<restante+00ff@b.test>"], ["<alice@a.test>"]


def raw_value(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def give(mta, raw=RAW, recipients=(RECIPIENT,), **options):
    return mta.message(SENDER, list(recipients), raw, **options)


def stubs(milter, **reply):
    milter.fetchd.plan = lambda _: STUB
    if reply:
        milter.fetchd.notice = lambda _: (200, reply)


def test_stub_is_discarded_when_kept(bed):
    """250 from fetchd: the MTA drops the stub. The notice says all that fetchd judges by."""
    with Milter() as milter, milter.session(host="mx.b.test", address="192.0.2.25", helo="mx.b.test") as mta:
        stubs(milter)
        end = give(mta)
        equal((end.kind, end.stage, end.deleted), ("discard", "N", []))
        notice = milter.fetchd.notices[0]
        equal(raw_value(notice["stub"]), VALUE)
        equal(raw_value(notice["from"]), b" Bob <bob@b.test>")
        equal(raw_value(notice["message_id"]), b" <stub1@b.test>")
        envelope = notice["envelope"]
        equal((envelope["sender"], envelope["client_address"], envelope["helo"]),
              ("restante+00ff@b.test", "192.0.2.25", "mx.b.test"))
        equal([r["address"] for r in envelope["recipients"]], ["alice@a.test"])
        milter.wait_log(r"4Test1: from=<restante\+00ff@b.test> to=<alice@a.test> .*status=accepted")
        check("xyz" not in milter.log_text(), "a key is in the log")


def test_refusals_reach_the_client(bed):
    """5xx and 4xx of fetchd with code, enhanced code and text; in a 200 or as an error."""
    with Milter() as milter, milter.session() as mta:
        stubs(milter, smtp=550, enhanced="5.7.1", text="evil.test is not designated by b.test")
        end = give(mta)
        equal((end.code, end.enhanced, end.text), ("550", "5.7.1", "evil.test is not designated by b.test"))
        stubs(milter, smtp=451, enhanced="4.4.3", text="a DNS look-up failed")
        equal(give(mta).code, "451")
        milter.fetchd.notice = lambda _: error("stub-syntax", 550, "5.6.0", "malformed stub", 400)
        equal((give(mta).code, milter.fetchd.deposits), ("550", []))


def test_unclear_answers_are_temporary(bed):
    """Whatever is no clear answer leaves the stub with its sender."""
    with Milter() as milter, milter.session() as mta:
        stubs(milter)
        for said in ((200, {"smtp": 350, "enhanced": "", "text": "?"}), (200, b"<html>"), (200, b""), (500, b"{}"),
                     (201, {"smtp": 250, "enhanced": "2.0.0", "text": "ok"}), error("not-found", 550, "5.1.1", "no", 404), None):
            milter.fetchd.notice = lambda _, said=said: said
            end = give(mta)
            equal((end.code, end.enhanced), ("451", "4.3.2"), f"answer to {said}")


def test_stub_of_a_testing_domain_passes(bed):
    """Reply 0: the stub goes on as ordinary mail."""
    with Milter() as milter, milter.session() as mta:
        stubs(milter, smtp=0, enhanced="", text="")
        equal(give(mta).kind, "accept")


def test_stub_for_several(bed):
    """A stub with two recipients is decided by fetchd in the plan; without a decision it waits."""
    with Milter() as milter, milter.session() as mta:
        stubs(milter)
        equal(give(mta, recipients=[RECIPIENT, ["<carol@a.test>"]]).code, "451")
        milter.fetchd.plan = lambda _: (200, {"kind": "stub", "verdicts": [], "want_body": False,
                                              "refuse": {"smtp": 550, "enhanced": "5.7.1", "text": "one recipient a stub"}})
        equal(give(mta, recipients=[RECIPIENT, ["<carol@a.test>"]]).text, "one recipient a stub")


def test_stub_from_a_local_submitter_is_a_letter(bed):
    """Whoever submits a stub by hand has written a letter."""
    with Milter() as milter, milter.session() as mta:
        milter.fetchd.plan = lambda _: verdicts("stub")
        end = mta.message(["<alice@a.test>"], [["<bob@b.test>"]], RAW, auth="alice")
        equal((end.kind, end.deleted), ("continue", ["<bob@b.test>"]))
        equal(milter.fetchd.deposits[0].letter, RAW)
        equal(milter.fetchd.notices, [])


def test_field_name_in_any_case(bed):
    """RESTANTE-STUB is the same field."""
    with Milter() as milter, milter.session() as mta:
        stubs(milter)
        equal(give(mta, RAW.replace(b"Restante-Stub", b"RESTANTE-stub")).kind, "discard")


def test_large_body_behind_a_stub_is_not_read(bed):
    """The milter has no use for a stub's body."""
    with Milter() as milter, milter.session() as mta:
        stubs(milter)
        equal(give(mta, RAW + b"spam spam\r\n" * 1_000_000).kind, "discard")


def test_fetchd_away(bed):
    """A stub waits, and is taken later; mail that is none of ours passes meanwhile."""
    with Milter() as milter, milter.session() as mta:
        stubs(milter)
        milter.fetchd.close()
        equal((give(mta).code, mta.message(["<eve@x.test>"], [["<carol@c.test>"]], b"From: eve@x.test\r\n\r\nhi\r\n").kind),
              ("451", "accept"))
        milter.fetchd.open()
        equal(give(mta).kind, "discard")
