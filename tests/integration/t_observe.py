"""mode = observe: nothing is refused, denied or kept waiting; the log and Authentication-Results say what would have been."""

from admitting import Watch, offer, offer_of, records
from harness import Box, check, equal, letter, submit
from owner import clean, do, policy
from restante import a_stub, configured, zones

NEEDS = ("restante",)
BOB = "bob@b.test"


def results(raw):
    """The letter's own Authentication-Results of b, unfolded."""
    head = raw.split(b"\n\n")[0].replace(b"\n\t", b" ").replace(b"\n ", b" ")
    return [line.decode() for line in head.split(b"\n") if line.startswith(b"Authentication-Results: ") and b"restante=" in line][0]


def test_strangers_and_foes_are_delivered(bed):
    """What would wait, be challenged or dropped arrives, marked."""
    with policy(bed.b, "@b.test", "--mode", "observe"), clean(bed.b, BOB), policy(bed.b, BOB, "known"):
        watch, box = Watch(bed), Box(bed.b, "bob")
        submit(bed.a, "alice@a.test", [BOB], letter())
        check('restante=fail reason="stranger"' in results(box.one()), "results of a stranger's letter")
        watch.log.wait(r"reason=stranger would=wait\b.*status=accepted")
        do(bed.b, "deny", BOB, "alice@a.test")
        box = Box(bed.b, "bob")
        submit(bed.a, "alice@a.test", [BOB], letter())
        check('restante=fail reason="denied"' in results(box.one()), "results of a foe's letter")
        watch.log.wait(r"reason=denied would=deny\b")
        do(bed.b, "allow", BOB, "alice@a.test")
        box = Box(bed.b, "bob")
        submit(bed.a, "alice@a.test", [BOB], letter())
        found = results(box.one())
        client = f"{bed.a.address}" if f"={bed.a.address}" in found else f'"{bed.a.address6}"'  # the MTA chooses
        check('restante=pass reason="allowed"' in found and "spf=pass smtp.mailfrom=a.test" in found and
              f"iprev=pass policy.iprev={client}" in found, f"results of a friend's letter: {found}")


def test_forged_stubs_pass_as_ordinary_mail(bed):
    """A stub that cannot be pulled, and one that is none, go into the mailbox as they are; an unproven one is tried."""
    with configured(bed.b, mode="observe"), zones(bed, wild=records(bed, "wild", spf="v=spf1 -all"),
                                                  bare=records(bed, "bare", designation=False)):
        watch, box = Watch(bed), Box(bed.b, "bob")
        equal(offer_of(bed, "wild.test")[0], 250, "answer to a stub that SPF does not permit")
        watch.log.wait(r"reason=spf-fail would=refuse\b.*status=accepted")
        equal(offer_of(bed, "bare.test")[0], 250, "answer to a stub without a designation")
        watch.log.wait(r"reason=no-designation would=refuse\b.*status=passed")
        equal(offer(bed, a_stub("eve@wild.test", host="pull.wild.test", extra="; zz=1"), "restante+00@wild.test")[0], 250,
              "answer to a malformed stub")
        watch.log.wait(r"reason=form\b.*status=passed")
        equal(len(box.wait(2, containing=b"Restante-Stub")), 2, "stubs in the mailbox")


def test_enforced_elsewhere(bed):
    """The mode is a domain's: observe for the site, enforce for b.test."""
    with configured(bed.b, mode="observe"), policy(bed.b, "@b.test", "--mode", "enforce"), \
            zones(bed, wild=records(bed, "wild", spf="v=spf1 -all")):
        watch = Watch(bed)
        watch.expect(offer_of(bed, "wild.test"), 550, "5.7.23", "spf-fail", "a stub that SPF does not permit")
        watch.nothing()
