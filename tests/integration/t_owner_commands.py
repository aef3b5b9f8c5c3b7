"""What owners of mailboxes say with restantectl: rules, policies, tokens; each in good and in bad words. Bad ones are told
clearly, and change nothing."""

import os
import re

from harness import check, equal
from owner import clean, ctl, do, policy, refused, rows, said

NEEDS = ("restante",)
BOB = "bob@b.test"


def words(site):
    """All that was said so far."""
    return [rows(site, "rules", BOB), rows(site, "token", "list", BOB), rows(site, "policy", BOB), rows(site, "policy", "@b.test"),
            rows(site, "attempts", "--all")]


def values(site, name):
    return {row["part"]: (row["value"], row["from"]) for row in rows(site, "policy", name)}


def test_rules(bed):
    """Addresses, domains, what is below a domain, lists, envelopes; allow takes the place of deny and the other way round; notes
    and ends; forget."""
    with clean(bed.b, BOB):
        check("allowed alice@a.test for bob@b.test: 0 letters called for" in do(bed.b, "allow", BOB, "Alice@A.test"), "allow")
        do(bed.b, "allow", BOB, "c.test", "--note", "friends")
        do(bed.b, "deny", BOB, ".spam.test", "--until", "+30d")
        do(bed.b, "deny", BOB, "envelope:bounce@c.test", "--until", "2099-12-31")
        do(bed.b, "allow", BOB, "<dev.lists.c.test>")
        do(bed.b, "allow", BOB, "list:other.lists.test", "--domain", "carrier.test")
        found = {row["sender"]: row for row in rows(bed.b, "rules", BOB)}
        equal({name: (row["rule"], row["kind"]) for name, row in found.items()}, {
            "alice@a.test": ("allow", "address"), "c.test": ("allow", "domain"), ".spam.test": ("deny", "subdomains"),
            "envelope:bounce@c.test": ("deny", "envelope"), "<dev.lists.c.test>": ("allow", "list"),
            "<other.lists.test>": ("allow", "list")}, "rules")
        equal(found["c.test"]["note"], "friends", "note")
        equal(found["envelope:bounce@c.test"]["until"], "2100-01-01T00:00:00Z", "the end of that day")
        equal(found["<dev.lists.c.test>"]["domain"], "c.test", "the list's own organisation")
        equal(found["<other.lists.test>"]["domain"], "carrier.test", "where the list comes from")
        equal({row["origin"] for row in found.values()}, {"owner"}, "who said so")
        text = do(bed.b, "rules", BOB)
        for word in ("alice@a.test", ".spam.test", "friends", "deny"):
            check(word in text, f"{word} is not in {text}")

        do(bed.b, "deny", BOB, "alice@a.test")
        equal([row["rule"] for row in rows(bed.b, "rules", BOB) if row["sender"] == "alice@a.test"], ["deny"], "the last word counts")
        done = rows(bed.b, "forget", BOB, "alice@a.test")[0]
        equal(done["rules"], 1, "forgotten")
        check("alice@a.test" not in {row["sender"] for row in rows(bed.b, "rules", BOB)}, "it is still there")
        check("knows nothing of" in refused(bed.b, "forget", BOB, "alice@a.test"), "nothing to forget")


def test_bad_words_change_nothing(bed):
    """Entries that cannot be read, mailboxes of other sites, dates in the past, tokens that there are, no letters at all."""
    with clean(bed.b, BOB):
        token = f"once{len(rows(bed.b, 'token', 'list', BOB))}"
        do(bed.b, "allow", BOB, "carol@c.test")
        do(bed.b, "token", "add", BOB, token)
        before = words(bed.b)
        for arguments, why in (
                (("allow", BOB, ""), r"sender"),
                (("allow", BOB, "@"), r"@"),
                (("allow", BOB, "@c.test"), r"without @"),
                (("deny", BOB, "*@c.test"), r"no patterns"),
                (("allow", BOB, "a b@c.test"), r"a b@c\.test"),
                (("allow", BOB, "a@c.test, d@c.test"), r"a@c\.test"),
                (("allow", BOB, "user@[192.0.2.1]"), r"192"),
                (("allow", BOB, "[192.0.2.1]"), r"192"),
                (("allow", BOB, "..c.test"), r"\.\.c\.test"),
                (("allow", BOB, "*"), r"\*"),
                (("allow", BOB, "Alice <alice@a.test>"), r"Alice"),
                (("deny", BOB, "x" * 300 + "@c.test"), r"x"),
                (("allow", BOB, "list:"), r"list"),
                (("allow", BOB, "alice@a.test", "--domain", "a.test"), r"domain"),
                (("allow", BOB, "list:x.test", "--domain", "no domain"), r"domain"),
                (("allow", BOB, "alice@a.test", "--until", "2020-01-01"), r"past"),
                (("allow", BOB, "alice@a.test", "--until", "+0s"), r"past"),
                (("allow", BOB, "alice@a.test", "--until", "soon"), r"date"),
                (("allow", BOB, "alice@a.test", "--note", "n" * 201), r"note"),
                (("allow", BOB, "alice@a.test", "--note", "a\nb"), r"note"),
                (("allow", "bob", "alice@a.test"), r"no mailbox"),
                (("allow", "@b.test", "alice@a.test"), r"no mailbox"),
                (("allow", "bob@elsewhere.test", "alice@a.test"), r"local_domains"),
                (("allow", "bob+shop@b.test", "alice@a.test"), r"without a token"),
                (("forget", BOB, "nobody@a.test"), r"knows nothing"),
                (("forget", BOB, "a b"), r"a b"),
                (("token", "add", BOB, token), r"has, or had"),
                (("token", "add", BOB, token.upper()), r"has, or had"),
                (("token", "add", BOB, "a b"), r"letters, digits"),
                (("token", "add", BOB, "a+b"), r"letters, digits"),
                (("token", "add", BOB, "x" * 65), r"letters, digits"),
                (("token", "add", BOB, ""), r"letters, digits"),
                (("token", "add", BOB, "new", "--letters", "0"), r"letters"),
                (("token", "add", BOB, "new", "--letters", "-1"), r"letters"),
                (("token", "add", BOB, "new", "--letters", "99999999999"), r"letters"),
                (("token", "add", BOB, "new", "--until", "1999-12-31"), r"past"),
                (("token", "add", "bob@elsewhere.test"), r"local_domains"),
                (("token", "revoke", BOB, "never-made"), r"no token"),
                (("token", "revoke", BOB, "no token"), r"no token"),
                (("policy", BOB, "closed"), r"open \| known \| challenge"),
                (("policy", BOB, "--legacy", "maybe"), r"accept \| attempt \| reject"),
                (("policy", BOB, "--mode", "observe"), r"domains alone"),
                (("policy", BOB, "known", "--challenge", "question"), r"question is missing"),
                (("policy", BOB, "--question", "Where?"), r"answer is missing"),
                (("policy", BOB, "--answer", "here"), r"goes with a question"),
                (("policy", BOB, "--question", "Where?", "--answer", " "), r"empty"),
                (("policy", BOB, "--question", "q" * 301, "--answer", "a"), r"question"),
                (("policy", BOB, "--question", "q", "--answer", "a" * 900, "--answer", "b" * 200), r"answer"),
                (("policy", "postmaster@b.test", "known"), r"always open"),
                (("policy", "@"), r"no domain"),
                (("policy", "@elsewhere.test", "known"), r"local_domains"),
                (("attempts", "nobody"), r"no mailbox"),
                (("rules", "x@elsewhere.test"), r"local_domains"),
                (("job", "0000000000000000"), r"no job"),
                (("complain", "ffffffff", "--yes"), r"no job"),
                (("complain", "xyz", "--yes"), r"hexadecimal")):
            text = refused(bed.b, *arguments)
            check(re.search(why, text), f"{arguments}: {text!r} does not say {why}")
        equal(words(bed.b), before, "what was said before")
        do(bed.b, "token", "revoke", BOB, token)


def test_wrong_usage(bed):
    """Too few and too many arguments, options of other commands: usage, status 64."""
    for arguments in (("allow", BOB), ("allow", BOB, "a@a.test", "more"), ("deny",), ("rules",), ("attempts",),
                      ("attempts", BOB, "--all"), ("token",), ("token", "add"), ("token", "make", BOB), ("token", "revoke", BOB),
                      ("policy",), ("policy", BOB, "open", "known"), ("status", "--until", "+1d"), ("bounce", "a@a.test"),
                      ("allow", BOB, "a@a.test", "--until"), ("complain",), ("complain", "abcd"),
                      ("complain", "abcd", "--yes", "--dry-run"), ("explain", "a", "b")):
        refused(bed.b, *arguments, status=64)


def test_without_fetchd(bed):
    """A configuration that cannot be read: 78, with its file; nobody who answers: 75."""
    check("/nonexistent" in refused(bed.b, "status", "-c", "/nonexistent", status=78), "no such file")
    path = f"{bed.b.folder}/elsewhere.conf"
    try:
        for text, status, why in (("nonsense = 1\n", 78, f"{path}:1: "), ("local_socket_directory = /nonexistent\n", 75, "does not answer")):
            with open(path, "w", encoding="ascii") as f:
                f.write(text)
            for arguments in (("status",), ("allow", BOB, "alice@a.test"), ("complain", "abcdef12", "--yes"),
                              ("explain", "--from", "a@a.test", "--to", BOB, "--client", "192.0.2.1")):
                check(why in refused(bed.b, *arguments, "-c", path, status=status), f"{arguments}: {text}")
    finally:
        os.unlink(path)


def test_policy(bed):
    """A mailbox's own word, its domain's, the site's: each part says where it comes from, and can be given back."""
    equal(values(bed.b, BOB)["rule"], ("open", "site"), "rule at first")
    with policy(bed.b, "@b.test", "known", "--legacy", "attempt", "--mode", "observe"):
        equal(values(bed.b, BOB)["rule"], ("known", "domain"), "rule")
        equal(values(bed.b, BOB)["legacy"], ("attempt", "domain"), "legacy")
        equal(values(bed.b, BOB)["mode"], ("observe", "domain"), "mode")
        with policy(bed.b, BOB, "challenge", "--denial", "told", "--challenge", "question", "--question", "Where did we meet?",
                    "--answer", "Vienna", "--answer", "Wien", "--correspondents", "off"):
            mine = values(bed.b, BOB)
            equal({part: mine[part] for part in ("rule", "denial", "challenge", "correspondents", "question")},
                  {"rule": ("challenge", "mailbox"), "denial": ("told", "mailbox"), "challenge": ("question", "mailbox"),
                   "correspondents": ("off", "mailbox"), "question": ("Where did we meet?", "mailbox")}, "the mailbox's own")
            equal([row["value"] for row in rows(bed.b, "policy", BOB) if row["part"] == "answer"], ["Vienna", "Wien"], "answers")
            equal(mine["legacy"], ("attempt", "domain"), "what it leaves to the domain")
            check("Where did we meet?" in do(bed.b, "policy", BOB), "the table")
        equal(values(bed.b, BOB)["rule"], ("known", "domain"), "given back")
        check("question" not in values(bed.b, BOB), "the question is taken away")
        equal(values(bed.b, "postmaster@b.test")["rule"], ("open", "always"), "postmaster")
        equal(values(bed.b, "abuse@b.test")["rule"], ("open", "always"), "abuse")
    equal(values(bed.b, "@b.test")["rule"], ("open", "site"), "all given back")


def test_tokens(bed):
    """Made by chance or chosen, limited, noted, listed, revoked; a revoked one cannot be made again."""
    address = do(bed.b, "token", "add", BOB, "--letters", "3", "--until", "+10d", "--bind", "--note", "shop").strip()
    made = re.fullmatch(r"bob\+([a-z2-9]{4}-[a-z2-9]{4}-[a-z2-9]{5})@b\.test", address)
    check(made, f"the address: {address}")
    mine = next(row for row in rows(bed.b, "token", "list", BOB) if row["token"] == made.group(1))
    equal((mine["letters"], mine["used"], mine["bind"], mine["note"], mine["state"]), (3, 0, "yes", "shop", "good"), "the new one")
    check(made.group(1) in do(bed.b, "token", "list", BOB), "the table")
    other = do(bed.b, "token", "add", BOB).strip()
    check(other != address, "chance repeats itself")
    for one in (address, other):
        token = one.partition("+")[2].partition("@")[0]
        check(f"revoked {one}" in do(bed.b, "token", "revoke", BOB, token), "revoked")
        equal(next(row["state"] for row in rows(bed.b, "token", "list", BOB) if row["token"] == token), "revoked", "state")
        refused(bed.b, "token", "add", BOB, token)
    address = do(bed.b, "token", "add", BOB).strip()
    check("is no token of carol@b.test" in refused(bed.b, "token", "revoke", "carol@b.test", address), "somebody else's")
    check(f"revoked {address}" in do(bed.b, "token", "revoke", BOB, address), "revoked by its address")


def test_help(bed):
    """Without a command every one is listed; with a wrong one of its options, its own usage alone; with half a command what begins
    like it; what is no command is said to be none."""
    done = ctl(bed.b)
    equal(done.returncode, 64, "status")
    for word in ("attempts", "allow", "deny", "forget", "rules", "policy", "token add", "explain", "complain", "bounce"):
        check(f"\n  {word} " in said(done), f"{word} is not in the usage")
    check("bounce" not in refused(bed.b, "allow", status=64), "the usage of one command")
    text = refused(bed.b, "token", status=64)
    check("\n  token add " in text and "\n  token list " in text and "bounce" not in text, f"half a command: {text}")
    text = refused(bed.b, "tok", status=64)
    check("no command is called tok" in text and "bounce" not in text, f"no command: {text}")
    check("restantectl: " in refused(bed.b, "allow", "--nonsense", status=64), "who it is that complains of an option")
    check("\n  bounce " in do(bed.b, "--help"), "asked for")
    for words in (("allow", "--help"), ("token", "add", "-h")):
        text = do(bed.b, *words)
        check(f"\n  {words[0]} " in text and "bounce" not in text, text)
