"""The main way, to the byte: every letter of the corpus, by DATA, BDAT and sendmail(1), submitted at a, called for and
delivered at b. A second recipient at a itself (who never gets a stub) shows what the milter saw; the two copies are one.
"""

import difflib
import threading

import corpus
from harness import Box, Failure, Smtp, check, equal, first_difference, letter, queue_id, submit, unique, wait_for
from restante import jobs, strip_trace, tickets

NEEDS = ("restante",)
TIMEOUT = 180


def submit_smtp(bed, letters, bdat, ids):
    with Smtp(bed.a, port=587, timeout=120) as smtp:
        smtp.login("alice@a.test")
        for one in letters:
            text = smtp.send("alice@a.test", ["bob@b.test", "carol@a.test"], one.raw, mail=one.mail_parameters, bdat=bdat,
                             chunk=10_000)
            ids[queue_id(text)] = one.name


def submit_sendmail(bed, letters, ids):
    for one in letters:
        done = bed.a.mta.sendmail("-i", "-B8BITMIME", "-f", "alice@a.test", "bob@b.test", "carol@a.test",
                                  letter=one.raw.replace(b"\r\n", b"\n"))
        equal(done.returncode, 0, f"sendmail's status for {one.name}: {done.stderr!r}")


def ended_header(raw):
    """A letter that ends within its header: no milter can tell it from one with an empty body, so it gets the empty line."""
    return raw if b"\n\n" in raw else raw + b"\n"


def missing(sent, arrived):
    """Which of the letters (name, octets) did not arrive, and how they differ from what did."""
    left = list(arrived)
    for name, raw in sent:
        if raw in left:
            left.remove(raw)
            continue
        near = difflib.get_close_matches(raw[:400].decode("latin-1"), [r[:400].decode("latin-1") for r in left], 1, 0.3)
        like = next((r for r in left if near and r[:400].decode("latin-1") == near[0]), None)
        yield f"{name}: " + ("nothing like it arrived" if like is None else first_difference(like, raw))


def pass_corpus(bed, way, send):
    letters = [one.again(unique(way)) for one in corpus.load() if one.stubbed]
    check(len(letters) >= 60, "fewer than 60 letters")
    bob, carol = Box(bed.b, "bob"), Box(bed.a, "carol")
    ids, errors = {}, []

    def work(part):
        try:
            send(bed, part, ids)
        except Exception as e:  # the case fails below
            errors.append(e)
    workers = [threading.Thread(target=work, args=(letters[i::3],)) for i in range(3)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    if errors:
        raise errors[0]
    seen = carol.wait(len(letters), timeout=60)
    try:
        arrived = bob.wait(len(letters), timeout=60)
    except Exception as e:
        raise Failure(f"{e}: {len(bob.new())} of {len(letters)} arrived; open jobs: {jobs(bed.b, state='waiting')[:3]}") from e
    equal(len(arrived), len(letters), "letters at b")
    check(all(b"with RESTANTE" in raw[:3000] for raw in arrived), "a letter did not come by Restante")
    sent = []
    for raw in seen:
        name = next((ids[i] for i in ids if f"id {i}".encode() in raw[:1500]), "a letter")
        sent.append((name, ended_header(strip_trace(raw))))
    problems = list(missing(sent, [strip_trace(raw) for raw in arrived]))
    check(not problems, f"{len(problems)} letters differ: " + "; ".join(problems))


def test_by_data(bed):
    """The whole corpus by DATA."""
    pass_corpus(bed, "rt-data", lambda bed, part, ids: submit_smtp(bed, part, False, ids))


def test_by_bdat(bed):
    """The whole corpus by BDAT."""
    pass_corpus(bed, "rt-bdat", lambda bed, part, ids: submit_smtp(bed, part, True, ids))


def test_by_sendmail(bed):
    """The whole corpus by sendmail(1)."""
    pass_corpus(bed, "rt-sendmail", submit_sendmail)


def test_all_is_over_at_a(bed):
    """After the corpus all its tickets are delivered and acked."""
    def open_ones():
        return [t for t in tickets(bed.a, limit="100000") if ".corpus.a.test" in t.get("message_id", "")
                and t["state"] != "delivered"]
    wait_for("all tickets to be delivered", lambda: not open_ones(), 30, 0.2)
    check(len([t for t in tickets(bed.a, state="delivered", limit="100000") if ".corpus.a.test" in t.get("message_id", "")]) > 300,
          "fewer than 300 tickets of the corpus")
    # Hosts of other cases may never take an ack; a.test does.
    wait_for("all jobs to be acked",
             lambda: not [j for j in jobs(bed.b, state="delivered") if j["sender"].endswith("@a.test")], 30, 0.2)


def test_what_the_sender_sent_is_what_arrives(bed):
    """An ordinary letter: what is under the trace fields at b is what the client sent, not merely what Postfix made of it."""
    box, raw = Box(bed.b, "dave"), letter(to="dave@b.test", body=b"..dots\r\n.\r\ntrailing  \r\n\r\n\r\n")
    submit(bed.a, "alice@a.test", ["dave@b.test"], raw)
    equal(strip_trace(box.one()), raw.replace(b"\r\n", b"\n"), "letter")


def test_back_from_b_to_a(bed):
    """The other direction: b (without chroot) sends, a (with) calls."""
    box, raw = Box(bed.a, "alice"), letter("bob@b.test", "alice@a.test", body=b"x" * 100_000 + b"\r\n")
    submit(bed.b, "bob@b.test", ["alice@a.test"], raw)
    got = box.one()
    equal(strip_trace(got), raw.replace(b"\r\n", b"\n"), "letter")
    check(b"with RESTANTE" in got[:3000], "it did not come by Restante")
