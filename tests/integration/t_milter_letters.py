"""The milter and outbound letters, as an MTA sees it: what is deposited, who is taken out of the envelope, what stays."""

from harness import check, equal
from localapi import NONE, all_stubs, refusal, verdicts
from milterlib import DELRCPT, LEADSPC, LITTLE_QUARANTINE, SETSYMLIST, Milter, Mta, ProtocolError

BED = "plain"
LETTER = (b"Received: from pc\r\n\tby mx; now\r\nFrom: Alice <alice@a.test>\r\nTo:bob@b.test\r\nSubject:  two blanks  \r\n"
          b"X-Empty:\r\nX-8bit: gr\xfc\xdfe\r\nMessage-ID: <1@a.test>\r\n\r\nHello.\r\n..dots\r\n\0\r\n")
SENDER = ["<alice@a.test>"]


def submit(mta, recipients=("<bob@b.test>",), raw=LETTER, *, mail=SENDER, auth="alice", **options):
    return mta.message(mail, [[r] if isinstance(r, str) else r for r in recipients], raw, auth=auth, **options)


def test_letter_is_deposited_to_the_byte(bed):
    """The deposit is the letter as it was sent, and its recipient leaves the envelope."""
    with Milter() as milter, milter.session() as mta:
        end = submit(mta)
        equal((end.kind, end.stage, end.deleted, end.edits), ("continue", "E", ["<bob@b.test>"], []))
        equal(len(milter.fetchd.deposits), 1, "deposits")
        equal(milter.fetchd.deposits[0].letter, LETTER)
        milter.wait_log(r"4Test1: ticket=[0-9a-f]{8} from=<alice@a.test> to=<bob@b.test> nrcpt=1 size=%d .*"
                        r"status=deposited \(stubs=1 plain=0\)" % len(LETTER))


def test_envelope_reaches_fetchd(bed):
    """Arguments, login, client and macros are in plan and deposit."""
    with Milter() as milter, milter.session(host="pc.example", address="2001:db8::7", port=4242, helo="[pc]") as mta:
        submit(mta, [["<bob@b.test>", "NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;Bob+2B@b.test"]],
               mail=["<alice@a.test>", "SIZE=1000", "RET=HDRS", "ENVID=QQ+2B1", "BODY=8BITMIME", "SMTPUTF8"])
        want = {"queue_id": "4Test1", "domains": "a.test", "sender": "alice@a.test", "body": "8BITMIME", "ret": "HDRS",
                "envid": "QQ+2B1", "smtputf8": True, "client_address": "2001:db8::7", "client_name": "pc.example",
                "client_port": 4242, "helo": "[pc]", "auth": "alice",
                "recipients": [{"address": "bob@b.test", "notify": "SUCCESS,DELAY", "orcpt": "rfc822;Bob+2B@b.test",
                                "mailer": "smtp"}]}
        equal(milter.fetchd.plans[0]["envelope"], want, "envelope of the plan")
        equal(milter.fetchd.deposits[0].head, {"envelope": want}, "head of the deposit")
        equal(sorted(field["name"] for field in milter.fetchd.plans[0]["fields"]), ["From", "Message-ID", "Received", "Subject"])
        equal(milter.fetchd.plans[0]["header_bytes"], LETTER.index(b"\r\n\r\n") + 2)


def test_mixed_recipients(bed):
    """Only stub recipients are in the deposit and leave the envelope; the others are not touched."""
    with Milter() as milter, milter.session() as mta:
        milter.fetchd.plan = lambda _: verdicts("plain", "stub", "plain", "stub")
        end = submit(mta, ["<p1@c.test>", "<s1@b.test>", "<p2@c.test>", "<S2@B.test>"])
        equal((end.kind, end.deleted), ("continue", ["<s1@b.test>", "<S2@B.test>"]))
        equal([r["address"] for r in milter.fetchd.deposits[0].head["envelope"]["recipients"]], ["s1@b.test", "S2@B.test"])
        milter.wait_log(r"status=deposited \(stubs=2 plain=2\)")


def test_plain_letter_is_left_alone(bed):
    """Nobody takes stubs: accepted after the header, the body is not even shown."""
    with Milter() as milter, milter.session() as mta:
        milter.fetchd.plan = lambda _: verdicts("plain", "plain")
        end = submit(mta, ["<p1@c.test>", "<p2@c.test>"])
        equal((end.kind, end.stage, end.deleted), ("accept", "N", []))
        equal(milter.fetchd.deposits, [])


def test_none_of_ours(bed):
    """fetchd says that the message is none of ours."""
    with Milter() as milter, milter.session() as mta:
        milter.fetchd.plan = lambda _: NONE
        equal(submit(mta).kind, "accept")


def test_recipient_named_twice(bed):
    """One mailbox written twice gets one ticket, and both go."""
    with Milter() as milter, milter.session() as mta:
        end = submit(mta, ["<bob@b.test>", "<bob@B.TEST>", "<Bob@b.test>"])
        equal(end.deleted, ["<bob@b.test>", "<bob@B.TEST>", "<Bob@b.test>"])
        equal([r["address"] for r in milter.fetchd.deposits[0].head["envelope"]["recipients"]], ["bob@b.test", "Bob@b.test"])


def test_many_recipients(bed):
    """A thousand recipients, every second one a stub."""
    with Milter() as milter, milter.session() as mta:
        milter.fetchd.plan = lambda p: verdicts(*["stub", "plain"] * (len(p["envelope"]["recipients"]) // 2))
        everybody = [f"<user{n}@b.test>" for n in range(1000)]
        equal(submit(mta, everybody).deleted, everybody[::2])


def test_utf8_addresses(bed):
    """SMTPUTF8 addresses come and go as they are."""
    with Milter() as milter, milter.session() as mta:
        end = submit(mta, ["<bøb@b.test>"], mail=["<ålice@a.test>", "SMTPUTF8"])
        equal(end.deleted, ["<bøb@b.test>"])
        equal(milter.fetchd.deposits[0].head["envelope"]["sender"], "ålice@a.test")


def test_sendmail_command(bed):
    """sendmail(1): no brackets, no arguments, no port."""
    with Milter() as milter, milter.session(host="localhost", address="127.0.0.1", port=0, helo="localhost") as mta:
        end = submit(mta, ["bob@b.test"], mail=["alice@a.test"], auth=None, mailer=None)
        equal(end.deleted, ["bob@b.test"])
        envelope = milter.fetchd.plans[0]["envelope"]
        equal((envelope["command_line"], envelope["sender"]), (True, "alice@a.test"))
        check("mailer" not in envelope["recipients"][0], "a mailer that nobody named")


def test_empty_letters(bed):
    """No body, no header, neither."""
    with Milter() as milter, milter.session() as mta:
        for raw in (b"From: alice@a.test\r\n\r\n", b"\r\nbody\r\n", b"\r\n"):
            equal(submit(mta, raw=raw).deleted, ["<bob@b.test>"])
            equal(milter.fetchd.deposits[-1].letter, raw)


def test_body_within_the_end_of_message(bed):
    """An MTA may send the last piece of the body with the end of the message."""
    with Milter() as milter, milter.session() as mta:
        mta.envelope(SENDER, [["<bob@b.test>"]], auth="alice")
        mta.headers(b"From: alice@a.test\r\n\r\n")
        equal(mta.header_end().kind, "continue")
        equal(mta.body(b"first ").kind, "continue")
        equal(mta.end(b"last\r\n").deleted, ["<bob@b.test>"])
        equal(milter.fetchd.deposits[0].letter, b"From: alice@a.test\r\n\r\nfirst last\r\n")


def test_large_letter_in_constant_memory(bed):
    """60 MB in pieces of 65,535 octets; the milter holds none of it."""
    raw = b"From: alice@a.test\r\n\r\n" + b"0123456789abcde\n" * 3_750_000
    with Milter(env=LITTLE_QUARANTINE) as milter, milter.session() as mta:
        submit(mta)
        milter.fetchd.keep_letters = False
        before = milter.memory()
        equal(submit(mta, raw=raw).kind, "continue")
        equal(milter.fetchd.deposits[-1].letter, len(raw))
        check(milter.memory() - before < 8 << 20, f"memory grew by {(milter.memory() - before) >> 10} KiB")


def test_long_header_field(bed):
    """58,999 octets are kept; 59,000 are refused, since Postfix would cut them; the session goes on."""
    with Milter() as milter, milter.session() as mta:
        for octets, want in ((58999, "continue"), (59000, "reply"), (65000, "reply"), (58999, "continue")):
            field = b"X-Long: " + b"x" * (octets - len(b"X-Long: \r\n")) + b"\r\n"
            equal(len(field), octets)
            raw = field + LETTER
            end = submit(mta, raw=raw)
            equal(end.kind, want, f"answer to {octets} octets")
            if want == "reply":
                equal((end.code, end.enhanced, end.stage), ("552", "5.3.4", "N"))
                check("X-Long" in end.text, end.text)
            else:
                equal(milter.fetchd.deposits[-1].letter, raw)


def test_three_thousand_fields(bed):
    """Many fields, ten of them From."""
    raw = b"".join(b"X-%d: %d\r\n" % (n, n) for n in range(3000)) + b"From: a@a.test\r\n" * 10 + b"\r\nbody\r\n"
    with Milter() as milter, milter.session() as mta:
        equal(submit(mta, raw=raw).deleted, ["<bob@b.test>"])
        equal(milter.fetchd.deposits[0].letter, raw)
        equal(len(milter.fetchd.plans[0]["fields"]), 10)


def test_fetchd_refuses_at_the_plan(bed):
    """The plan's code and text reach the client, percent signs too."""
    with Milter() as milter, milter.session() as mta:
        milter.fetchd.plan = lambda _: refusal(451, "4.4.3", "b.test: 100% unknown")
        end = submit(mta)
        equal((end.kind, end.code, end.enhanced, end.text), ("reply", "451", "4.4.3", "b.test: 100% unknown"))
        milter.fetchd.plan = lambda _: refusal(550, "5.7.1", "not for you")
        equal(submit(mta).code, "550")
        milter.fetchd.plan = all_stubs
        equal(submit(mta).kind, "continue")


def test_address_that_no_stub_can_carry(bed):
    """An address that is no UTF-8 is refused for good, and fetchd is not bothered."""
    with Milter() as milter, milter.session() as mta:
        end = submit(mta, ["<b\udcffb@b.test>"])
        equal((end.code, end.enhanced), ("553", "5.1.3"))
        equal(milter.fetchd.plans, [])


def test_negotiation(bed):
    """The milter asks for the one action that it uses, leading blanks, and its macros."""
    with Milter() as milter:
        with Mta(milter.path) as mta:
            mta.negotiate()
            equal(mta.version, 6)
            equal(mta.actions, DELRCPT | SETSYMLIST)
            check(mta.steps & LEADSPC, "leading blanks were not asked for")
            check("{restante_domains}" in mta.macros_wanted["C"], str(mta.macros_wanted))
        with Mta(milter.path, steps=0x1fffff & ~LEADSPC) as mta:
            try:
                mta.negotiate()
                check(False, "an MTA that takes blanks away is served")
            except ProtocolError:
                pass
        with Mta(milter.path, steps=0x1fffff & ~0x0ff080) as mta:  # an MTA that wants an answer to each command
            mta.start()
            equal(submit(mta).deleted, ["<bob@b.test>"])
