"""DANE for link hosts at b: where DNSSEC-secure TLSA records 3 1 1 or 2 1 1 are there, they decide; where they are not, are not
secure, or are of other kinds, the ordinary rules do. A host that does not match gets no key."""

import contextlib
import re

from bedlib.pki import Pki
from bedlib.run import wait_for
from certificates import DAY, LONG, CrlServer, point
from evil import Evil
from harness import Box, check, equal
from restante import configured
from t_certificates import TRIED, offer_all

NEEDS = ("restante",)


def test_each_kind(bed):
    """3 1 1 matches: a self-signed, an expired, a long-lived one of another name, each good; no match: refused, though its chain
    is good. 2 1 1: a private authority is good, with the name and the dates; its CRL is not fetched, since a stranger would choose whom
    we call."""
    box, own = Box(bed.b, "bob"), Pki(f"{bed.folder}/own-pki")
    own.create()
    root = f"{bed.pki.folder}/root.crt"
    wrong, crls = "3 1 1 " + "ab" * 32, CrlServer(bed)
    crls.publish("/good.crl")
    named = {"end": LONG, "extensions": point(crls.url("/good.crl"))}
    kinds = {  # certificate, whose PKI, TLSA records (None: its own key's), signed zone; the reason of the refusal
        "3 1 1, self-signed": ({"by": "self"}, bed.pki, None, True, None),
        "3 1 1, expired": ({"start": -9 * DAY, "end": -60}, bed.pki, None, True, None),
        "3 1 1, another name, no CRL": ({"hosts": ["pull.other.test"], "end": LONG}, bed.pki, None, True, None),
        "3 1 1 beside one that does not match": ({"by": "self"}, bed.pki, [wrong, None], True, None),
        "3 1 1, no match": ({}, bed.pki, [wrong], True, "TLSA"),
        "2 1 1": ({}, own, ["2 1 1"], True, None),
        "2 1 1, another name": ({"hosts": ["pull.other.test"]}, own, ["2 1 1"], True, "name"),
        "2 1 1, expired": ({"start": -9 * DAY, "end": -60}, own, ["2 1 1"], True, "expired"),
        "2 1 1, no match": ({}, own, [bed.pki.tlsa(root, 2)], True, "TLSA"),
        "2 1 1, no CRL": ({"end": LONG}, own, ["2 1 1"], True, "names no CRL"),
        "2 1 1, private authority, CRL": (named | {"extensions": point(crls.url("/trap.crl"))}, own, ["2 1 1"], True, "not fetched"),
        "2 1 1, trusted authority, CRL": (named, bed.pki, ["2 1 1"], True, None),
        "others, good chain": ({}, bed.pki, ["3 0 1 " + "ab" * 32, "1 1 1 " + "ab" * 32, "3 1 1 abab"], True, None),
        "others, self-signed": ({"by": "self"}, bed.pki, ["3 0 1 " + "ab" * 32], True, "self.signed"),
        "not secure, no match, good chain": ({}, bed.pki, [wrong], False, None),
        "not secure, match, self-signed": ({"by": "self"}, bed.pki, None, False, "self.signed"),
    }
    with crls, configured(bed.b, **TRIED), contextlib.ExitStack() as stack:
        hosts = {}
        for what, (certificate, pki, tlsa, signed, _) in kinds.items():
            host = hosts[what] = Evil(bed, certificate=certificate, signed=signed, pki=pki)
            host.tlsa = [pki.tlsa(f"{pki.folder}/intermediate.crt", 2) if data == "2 1 1" else data or pki.tlsa(host.certificate[0])
                         for data in (tlsa or [None])]
            stack.enter_context(host)
        offer_all(hosts, {what: kind[4] for what, kind in kinds.items()})
        equal(crls.asked, ["/good.crl"], "lists fetched: on the word of DNS alone none")
        equal(len(box.new()), sum(1 for kind in kinds.values() if kind[4] is None), "letters")


def test_bogus_records(bed):
    """TLSA records that do not validate: no connection at all, and the letter comes once they do."""
    box = Box(bed.b, "bob")
    with configured(bed.b, **TRIED), Evil(bed) as evil:
        evil.tlsa = [bed.pki.tlsa(evil.certificate[0])]
        evil.announce(evil.port)
        ticket = evil.ticket()
        bed.dns.break_signatures(evil.domain, "TLSA")
        ticket.offer()
        job = ticket.wait_job("waiting", tries=1)
        check(re.search("DNS", job["text"]), f"the job says: {job['text']}")
        equal(evil.host.connections(), 0, "connections")
        evil.announce(evil.port)
        ticket.wait_job("acked")
    equal(len(box.new()), 1, "letters")


def test_changed_records(bed):
    """A connection that was verified by other records is not used for the next letter: with the new ones the host is judged
    anew."""
    with configured(bed.b, **TRIED), Evil(bed) as evil:
        evil.ticket().offer().wait_job("acked")
        evil.tlsa = ["3 1 1 " + "ab" * 32]
        evil.announce(evil.port)

        def refused():
            job = evil.ticket().offer().wait_tried()
            return job if job["state"] == "waiting" else None
        job = wait_for("the new records to count", refused, 40, 0.5)
        check("TLSA" in job["text"], f"the job says: {job['text']}")
