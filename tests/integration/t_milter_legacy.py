"""The milter and mail without a stub from outside, as an MTA sees it: what fetchd is asked, what is kept, dropped and refused."""

from harness import check, equal
from localapi import error, refusal, verdicts
from milterlib import Milter

BED = "plain"
MAIL = (b"Received: from x\r\n\tby y; now\r\nFrom: Eve <eve@x.test>\r\nSubject: =?utf-8?q?x?=\r\nTo: alice@a.test\r\n"
        b"List-Id: <dev.x.test>\r\nPrecedence: list\r\nMessage-ID: <1@x.test>\r\n\r\nHello.\r\n")
SENDER = ["<eve@x.test>"]


def legacy(*words):
    return lambda _: verdicts(*words, kind="legacy")


def give(mta, recipients=("<alice@a.test>",), raw=MAIL, *, mail=SENDER, **options):
    return mta.message(mail, [[r] for r in recipients], raw, mailer="local", **options)


def test_accepted(bed):
    """All recipients take it: accepted after the header, the body is not even shown, and nothing is logged of it."""
    with Milter() as milter, milter.session() as mta:
        milter.fetchd.plan = legacy("plain", "plain")
        end = give(mta, ["<alice@a.test>", "<carol@c.test>"])
        equal((end.kind, end.stage, end.deleted), ("accept", "N", []))
        plan = milter.fetchd.plans[0]
        equal([field["name"] for field in plan["fields"]],
              ["Received", "From", "Subject", "List-Id", "Precedence", "Message-ID"])
        equal((plan["envelope"]["sender"], plan["envelope"]["client_address"]), ("eve@x.test", "192.0.2.1"))
        check("status=" not in milter.log_text(), "a line in the log")


def test_kept(bed):
    """Kept for some: the letter streams to fetchd to the byte, those recipients leave the envelope, the others stay."""
    with Milter() as milter, milter.session() as mta:
        milter.fetchd.plan = legacy("keep", "plain", "drop", "keep")
        end = give(mta, ["<k1@a.test>", "<p@a.test>", "<d@a.test>", "<k2@a.test>"])
        equal((end.kind, end.stage, end.deleted, end.edits),
              ("continue", "E", ["<k1@a.test>", "<d@a.test>", "<k2@a.test>"], []))
        equal(milter.fetchd.deposits, [])
        kept = milter.fetchd.keeps[0]
        equal(kept.letter, MAIL)
        equal([r["address"] for r in kept.head["envelope"]["recipients"]], ["k1@a.test", "k2@a.test"])
        equal(kept.head["fields"], milter.fetchd.plans[0]["fields"])
        milter.wait_log(r"4Test1: from=<eve@x.test> to=<k1@a.test> nrcpt=4 size=%d .*"
                        r"status=kept \(kept=2 dropped=1 plain=1\)" % len(MAIL))


def test_dropped(bed):
    """Dropped without a word: the recipients leave the envelope, fetchd gets nothing; nobody may be left."""
    with Milter() as milter, milter.session() as mta:
        milter.fetchd.plan = legacy("drop", "plain")
        end = give(mta, ["<d@a.test>", "<p@a.test>"])
        equal((end.kind, end.deleted), ("continue", ["<d@a.test>"]))
        milter.fetchd.plan = legacy("drop")
        equal(give(mta).deleted, ["<alice@a.test>"])
        equal((milter.fetchd.keeps, milter.fetchd.deposits), ([], []))
        milter.wait_log(r"status=dropped \(kept=0 dropped=1 plain=0\)")


def test_refused(bed):
    """Refused as a whole, with fetchd's words."""
    with Milter() as milter, milter.session() as mta:
        milter.fetchd.plan = lambda _: refusal(550, "5.7.1", "not here")
        end = give(mta)
        equal((end.kind, end.code, end.enhanced, end.text, end.stage), ("reply", "550", "5.7.1", "not here", "N"))


def test_unclear_answers_are_temporary(bed):
    """Verdicts that no legacy plan has, a keep that fails or is not understood: 451, and nothing is edited."""
    with Milter() as milter, milter.session() as mta:
        for words in (["stub"], ["refuse"], ["plain", "plain"], []):
            milter.fetchd.plan = legacy(*words)
            equal(give(mta).code, "451", words)
        milter.fetchd.plan = lambda _: verdicts("keep")
        equal(give(mta).code, "451", "keep in an outbound plan")
        milter.fetchd.plan = legacy("keep")
        for keep, code in ((lambda *_: error("disk-full", 452, "4.3.1", "disk full", 507), "452"),
                           (lambda *_: error("syntax", 500, "5.5.2", "syntax", 400), "451"),
                           (lambda *_: (201, {"smtp": 451, "enhanced": "4.0.0", "text": "?"}), "451"),
                           (lambda *_: (201, {"tickets": []}), "451"), (lambda *_: None, "451")):
            milter.fetchd.keep = keep
            end = give(mta)
            equal((end.code, end.deleted), (code, []))
        milter.fetchd.close()
    with Milter(fetchd=False) as milter, milter.session() as mta:
        end = give(mta)
        equal((end.code, end.enhanced), ("451", "4.3.2"))


def test_aborted(bed):
    """The client hangs up in the body: fetchd keeps nothing."""
    with Milter() as milter, milter.session() as mta:
        milter.fetchd.plan = legacy("keep")
        mta.envelope(SENDER, [["<alice@a.test>"]], mailer="local")
        body = mta.headers(MAIL)
        equal(mta.header_end().kind, "continue")
        equal(mta.body(body).kind, "continue")
        mta.abort()
        milter.wait_log("status=aborted")
        equal(milter.fetchd.keeps, [])
        milter.fetchd.plan = legacy("plain")
        equal(give(mta).kind, "accept")


def test_not_asked(bed):
    """legacy_asked = no, other domains, submissions: fetchd hears nothing of it, and may be away."""
    with Milter(fetchd=False, legacy_asked="no") as milter, milter.session() as mta:
        equal(give(mta).kind, "accept")
    with Milter(fetchd=False) as milter:
        with milter.session() as mta:
            equal(give(mta, ["<carol@c.test>"]).kind, "accept", "another domain")
            equal(give(mta, auth="eve").kind, "accept", "a login from another domain")
        with milter.session(address="198.51.100.7") as mta:
            equal(give(mta).kind, "accept", "a submission network")
