"""Owners of mailboxes who are users of the system: with system_users_domain they see and change what is their own, nobody else's."""

import pwd

from harness import check, equal, letter, submit
from owner import clean, do, job_of, refused, rows
from restante import configured, fetchd_log, jobs, main_cf, wait_ticket

NEEDS = ("restante",)
NEWS = "news@b.test"


def test_without_the_parameter(bed):
    """Root alone, as before; the refusal is logged."""
    log = fetchd_log(bed.b)
    for arguments in (("rules", NEWS), ("attempts", NEWS), ("tickets",), ("jobs",), ("status",), ("policy", NEWS),
                      ("allow", NEWS, "alice@a.test"), ("token", "add", NEWS)):
        check("only root" in refused(bed.b, *arguments, user="news", status=77), f"{arguments}")
    log.wait(rf"user {pwd.getpwnam('news').pw_uid} asked for .*not his")
    equal(rows(bed.b, "rules", NEWS), [], "rules")


def test_a_user_and_his_mailbox(bed):
    """Rules, tokens, policy of his own; nothing of bob's, of the domain, of the site."""
    with configured(bed.b, system_users_domain="b.test"), clean(bed.b, NEWS):
        log = fetchd_log(bed.b)
        do(bed.b, "allow", NEWS, "alice@a.test", user="news")
        equal([row["sender"] for row in rows(bed.b, "rules", NEWS, user="news")], ["alice@a.test"], "his rules")
        equal(rows(bed.b, "attempts", NEWS, user="news"), [], "his attempts")
        do(bed.b, "policy", NEWS, "known", user="news")
        equal(next(row for row in rows(bed.b, "policy", NEWS, user="news") if row["part"] == "rule"),
              {"part": "rule", "value": "known", "from": "mailbox"}, "his policy")
        do(bed.b, "policy", NEWS, "default", user="news")
        address = do(bed.b, "token", "add", NEWS, user="news").strip()
        do(bed.b, "token", "revoke", NEWS, address.partition("+")[2].partition("@")[0], user="news")
        do(bed.b, "forget", NEWS, "alice@a.test", user="news")

        before = rows(bed.b, "rules", "bob@b.test"), rows(bed.b, "policy", "bob@b.test"), rows(bed.b, "token", "list", "bob@b.test")
        for arguments in (("rules", "bob@b.test"), ("attempts", "bob@b.test"), ("attempts", "--all"), ("status",),
                          ("allow", "bob@b.test", "alice@a.test"), ("deny", "bob@b.test", "alice@a.test"),
                          ("forget", "bob@b.test", "alice@a.test"), ("policy", "bob@b.test"), ("policy", "bob@b.test", "known"),
                          ("policy", "@b.test"), ("policy", "@b.test", "known"), ("token", "add", "bob@b.test"),
                          ("token", "list", "bob@b.test"), ("token", "revoke", "bob@b.test", "x"), ("rules", "news@a.test")):
            refused(bed.b, *arguments, user="news", status=77)
        equal((rows(bed.b, "rules", "bob@b.test"), rows(bed.b, "policy", "bob@b.test"),
               rows(bed.b, "token", "list", "bob@b.test")), before, "what is bob's")
        log.wait(r"user \d+ \(news\) asked for bob@b\.test, which is not his")


def test_letters_of_others(bed):
    """Tickets and jobs of others are not listed for him, and he cannot complain about them."""
    boxes = f"{bed.b.mta.main['virtual_mailbox_maps']}, inline:{{ {NEWS}=news/ }}"
    with configured(bed.b, system_users_domain="b.test"), main_cf(bed.b, virtual_mailbox_maps=boxes):
        raw = letter()
        submit(bed.a, "alice@a.test", ["bob@b.test"], raw)
        wait_ticket(bed.a, raw, "delivered")
        raw = letter("bob@b.test", "alice@a.test")
        submit(bed.b, "bob@b.test", ["alice@a.test"], raw)
        wait_ticket(bed.b, raw, "delivered")
        job = jobs(bed.b)[0]
        equal([row for row in rows(bed.b, "jobs", "--limit", "100000", user="news") if row.get("mailbox") != NEWS], [], "jobs")
        equal(rows(bed.b, "tickets", "--limit", "100000", user="news"), [], "tickets")
        submit(bed.a, "alice@a.test", [NEWS], letter(to=NEWS))
        mine = job_of(bed.b, mailbox=NEWS)
        equal(mine["id"] in [row["id"] for row in rows(bed.b, "jobs", "--limit", "100000", user="news")], True, "his jobs")
        check("a.test" in do(bed.b, "complain", mine["id"], "--dry-run", user="news"), "a complaint about his own letter")
        check("no job" in refused(bed.b, "job", job["id"], user="news"), "another's job")
        check("no job" in refused(bed.b, "complain", job["id"], "--dry-run", user="news"), "a complaint about another's letter")
