"""The milter behind a real Postfix (that of c): what it is shown of letters, what Postfix does with its answers, and that a milter
that dies anywhere loses nothing. fetchd's answers are the case's (localapi.py), so a letter's way ends at the deposit."""

import contextlib
import os
import shutil

import corpus
from harness import Box, Refused, Smtp, check, equal, first_difference, letter, untraced, wait_for
from localapi import STUB, error, verdicts
from milterlib import Milter

BED = "plain"
TIMEOUT = 180
STUB_MAIL = b"From: bob@b.test\r\nRestante-Stub: v=1; u=x\r\nMessage-ID: <s@b.test>\r\n\r\nA letter waits.\r\n"


def plan(request):
    """Recipients at b.test get stubs; from elsewhere, a stub field makes a stub."""
    envelope = request["envelope"]
    if any(field["name"].lower() == "restante-stub" for field in request["fields"]) and "@c.test" not in envelope["sender"]:
        return STUB
    return verdicts(*["stub" if r["address"].lower().endswith("@b.test") else "plain" for r in envelope["recipients"]])


@contextlib.contextmanager
def milter_at(site, **main):
    """A milter of its own behind the site's Postfix, set up as packaging/postfix says. main: more main.cf parameters."""
    folder = f"{site.mta.queue}/restante-case"
    os.makedirs(folder, exist_ok=True)
    shutil.chown(folder, "root", "postfix")
    os.chmod(folder, 0o2750)
    use = "{ unix:restante-case/milter.sock, default_action=tempfail }"
    try:
        with Milter(milter_socket=f"unix:{folder}/milter.sock", submission_networks="127.0.0.0/8, ::1/128") as milter:
            milter.fetchd.plan = plan
            before = site.mta.postconf(smtpd_milters=use, non_smtpd_milters=use, restante_domains=site.domain,
                                       milter_macro_defaults="{ restante_domains = $restante_domains }", **main)
            site.mta.restart()  # a reload would leave old processes for a while
            try:
                yield milter
            finally:
                site.mta.postconf(**before)
                site.mta.restart()
    finally:
        shutil.rmtree(folder)


def differences(milter, letters, send):
    """Sends each letter to bob@b.test and compares the deposit with it."""
    for one in letters:
        milter.fetchd.deposits.clear()
        send(one)
        wait_for(f"the deposit of {one.name}", lambda: milter.fetchd.deposits, 20)
        got = milter.fetchd.deposits[0].letter
        if one.exact and got != one.raw:
            yield f"{one.name}: {first_difference(got, one.raw)}"
        if not one.exact and got == one.raw:
            yield f"{one.name}: arrives as it is"


def test_corpus_is_deposited_to_the_byte(bed):
    """Every letter of the corpus by DATA and by BDAT."""
    with milter_at(bed.c) as milter:
        for bdat in (False, True):
            with Smtp(bed.c) as smtp:
                found = list(differences(milter, corpus.load(), lambda one: smtp.send(
                    "alice@c.test", ["bob@b.test"], one.raw, mail=one.mail_parameters, bdat=bdat, chunk=10_000)))
            check(not found, f"{len(found)} letters, BDAT {bdat}: " + "; ".join(found))


def test_corpus_by_the_sendmail_command(bed):
    """sendmail(1) takes lines that end with LF; NUL, bare CR and what SMTP needs SMTPUTF8 for are not its business."""
    letters = [one for one in corpus.load()
               if one.exact and not one.utf8 and not set(one.raw.replace(b"\r\n", b"")) & set(b"\r\n\0")]
    check(len(letters) >= 60, f"only {len(letters)} letters")
    with milter_at(bed.c) as milter:
        found = list(differences(milter, letters, lambda one: bed.c.mta.sendmail(
            "-i", "-f", "alice@c.test", "bob@b.test", letter=one.raw.replace(b"\r\n", b"\n"))))
        check(not found, f"{len(found)} letters: " + "; ".join(found))
        check(milter.fetchd.plans[-1]["envelope"]["command_line"], "not known as the sendmail command")


def test_mixed_recipients(bed):
    """Stub recipients leave, whatever their spelling; the others get the letter as ever, and so does always_bcc."""
    raw = letter("alice@c.test", "bob@b.test")
    with milter_at(bed.c, always_bcc="abuse@c.test") as milter:
        carol, copies = Box(bed.c, "carol"), Box(bed.c, "abuse")
        with Smtp(bed.c) as smtp:
            smtp.send("alice@c.test", ["bob@b.test", "carol@c.test", "Bob@B.TEST", "bob@b.test", "eve+x@b.test"], raw,
                      mail="RET=HDRS ENVID=QQ+2B1", rcpt="NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;x+2By@b.test")
            smtp.send("alice@c.test", ["bob@b.test"], raw)
        untraced(carol.one(), raw)
        equal(len(copies.wait(2)), 2, "copies by always_bcc")
        head = milter.fetchd.deposits[0].head["envelope"]
        equal([r["address"] for r in head["recipients"]], ["bob@b.test", "Bob@B.TEST", "eve+x@b.test"])
        equal((head["recipients"][0]["notify"], head["recipients"][0]["orcpt"], head["ret"], head["envid"]),
              ("SUCCESS,FAILURE", "rfc822;x+2By@b.test", "HDRS", "QQ+2B1"))
        equal(milter.fetchd.deposits[0].letter, raw)
        wait_for("an empty queue", lambda: not bed.c.mta.queued(), 20)


def refused(smtp, sender, recipient, raw):
    try:
        smtp.send(sender, [recipient], raw)
    except Refused as e:
        return e.code, e.text
    check(False, "not refused")
    return None


def test_answers_reach_the_client(bed):
    """Stub discarded, stub refused with its text, disk full, a field that Postfix would cut, fetchd away; strangers pass."""
    raw, far = letter("alice@c.test", "bob@b.test"), "restante+00ff@b.test"
    with milter_at(bed.c) as milter:
        box = Box(bed.c, "carol")
        with Smtp(bed.c) as smtp:
            smtp.send(far, ["carol@c.test"], STUB_MAIL)
            milter.fetchd.notice = lambda _: (200, {"smtp": 550, "enhanced": "5.7.1", "text": "100% not designated"})
            equal(refused(smtp, far, "carol@c.test", STUB_MAIL), (550, "5.7.1 100% not designated"))
            milter.fetchd.deposit = lambda *_: error("disk-full", 452, "4.3.1", "insufficient storage", 503)
            equal(refused(smtp, "alice@c.test", "bob@b.test", raw), (452, "4.3.1 insufficient storage"))
            code, text = refused(smtp, "alice@c.test", "bob@b.test", b"X-Long: " + b"x" * 80000 + b"\r\n" + raw)
            check(code == 552 and text.startswith("5.3.4 the header field X-Long"), f"{code} {text}")
            milter.fetchd.plan = lambda _: None
            equal(refused(smtp, "alice@c.test", "bob@b.test", raw)[0], 451)
            milter.fetchd.close()
            equal(refused(smtp, far, "carol@c.test", STUB_MAIL)[1][:5], "4.3.2")
            smtp.send("dave@b.test", ["carol@c.test"], raw)
        untraced(box.one(), raw)
        equal(milter.fetchd.deposits[1:], [])


def test_enabled_by_main_cf_alone(bed):
    """Another domain in restante_domains: nothing is asked, everything passes."""
    raw = letter("alice@c.test", "carol@c.test")
    with milter_at(bed.c) as milter:
        for domains in ("other.test", None):
            bed.c.mta.postconf(restante_domains=domains)
            bed.c.mta.restart()
            box = Box(bed.c, "carol")
            with Smtp(bed.c) as smtp:
                smtp.send("alice@c.test", ["carol@c.test"], raw)
            untraced(box.one(), raw)
        equal(milter.fetchd.plans, [])


def test_milter_that_dies_loses_nothing(bed):
    """It is killed at each of its points; the client gets 451 and comes again; each recipient gets one letter a message."""
    raw = letter("alice@c.test", "bob@b.test")
    with milter_at(bed.c) as milter:
        box = Box(bed.c, "carol")
        points = ["milter-plan-answer:1", "milter-body-chunk:1", "milter-deposit-answer:1", "milter-delrcpt-before:1",
                  "milter-delrcpt-after:1", "milter-delrcpt-before:2", "milter-delrcpt-after:2", "milter-before-continue:1"]
        for count, point in enumerate(points, 1):
            milter.stop()
            milter.environment["RESTANTE_KILL"] = point
            milter.start()
            with Smtp(bed.c) as smtp:
                smtp.envelope("alice@c.test", ["bob@b.test", "carol@c.test", "eve@b.test"])
                equal(smtp.data(raw, 451)[0], 451, f"answer at {point}")
            equal(milter.process.wait(10), -9, f"end at {point}")
            milter.environment.pop("RESTANTE_KILL")
            milter.start()
            with Smtp(bed.c) as smtp:
                smtp.send("alice@c.test", ["bob@b.test", "carol@c.test", "eve@b.test"], raw)
            equal(len(box.wait(count)), count, f"letters for carol after {point}")
        wait_for("an empty queue", lambda: not bed.c.mta.queued(), 20)
        equal(os.listdir(f"{bed.c.mta.queue}/corrupt"), [], "corrupt queue files")
