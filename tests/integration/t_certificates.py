"""Certificates of link hosts at b: what is revoked, or cannot be told to be not revoked, gets no key. Each refused host sees
the handshake and no HTTP/2 frame that bears a request."""

import contextlib
import re
import threading

from bedlib.run import wait_for
from certificates import DAY, LONG, CrlServer, Stapling, ocsp_answer, point
from evil import Evil
from harness import Box, check, daemon_log, equal
from restante import configured

NEEDS = ("restante",)
HEADERS = 1  # the HTTP/2 frame that bears a request
TRIED = {"retry_min": "1s", "retry_max": "1s"}


def refuses(evil, ticket, text, what):
    """The job waits with this reason, and the host has seen connections, but no request."""
    job = ticket.wait_job("waiting", tries=1)
    check(re.search(text, job["text"]), f"{what}: the job says: {job['text']}")
    check(evil.host.connections() >= 1, f"{what}: nobody came")
    check(HEADERS not in evil.host.frames(), f"{what}: a request was sent")
    equal(evil.seen(), [], f"{what}: requests")
    return job


def offer_all(hosts, reasons):
    """A letter at each host, all at once. reasons: what -> why it is refused, or None: then it is delivered."""
    tickets = {what: host.ticket().offer() for what, host in hosts.items()}
    for what, reason in reasons.items():
        if reason is None:
            tickets[what].wait_job("acked")
        else:
            refuses(hosts[what], tickets[what], reason, what)


def test_each_kind(bed):
    """Good by its CRL, by a life of six days; expired, not yet valid, revoked leaf, revoked intermediate, self-signed, wrong
    name, stale CRL, missing CRL, no CRL named, another issuer's CRL, no CRL at all there: each with its outcome."""
    box = Box(bed.b, "bob")
    crls = CrlServer(bed, "inside A 192.0.2.1")
    with contextlib.ExitStack() as stack:
        named = lambda path: {"end": LONG, "extensions": point(crls.url(path))}  # noqa: E731
        bed.pki.authority("between", extensions=point(crls.url("/root.crl")))
        bed.pki.authority("fallen", extensions=point(crls.url("/root.crl")))
        bed.pki.revoke("fallen", by="root")
        kinds = {  # certificate; the reason of the refusal, None: delivered
            "good by its CRL": (named("/good.crl"), None),
            "good, six days": ({}, None),
            "good, both by CRL": ({"by": "between"} | named("/between.crl"), None),
            "good by its second CRL": ({"end": LONG, "extensions": "crlDistributionPoints=URI:" + crls.url("/none.crl") + ",URI:"
                                        + crls.url("/good.crl")}, None),
            "expired": (named("/good.crl") | {"start": -9 * DAY, "end": -60}, "expired"),
            "not yet valid": (named("/good.crl") | {"start": 3600}, "not yet valid"),
            "revoked leaf": (named("/good.crl"), r"is revoked \(CRL, CN=pull\.evil"),
            "revoked intermediate": ({"by": "fallen"}, r"is revoked \(CRL, CN=Restante test fallen"),
            "self-signed": ({"by": "self"}, "self.signed"),
            "wrong name": (named("/good.crl") | {"hosts": ["pull.other.test"]}, "name"),
            "stale CRL": (named("/stale.crl"), "CRL: stale"),
            "missing CRL": (named("/missing.crl"), "CRL: HTTP status 404"),
            "redirected CRL": (named("/moved.crl"), "CRL: HTTP status 302"),
            "no CRL named": ({"end": LONG}, "names no CRL"),
            "CRL of another": (named("/root.crl"), "not signed by"),
            "no list at all": (named("/text.crl"), "not a list in DER"),
            "too large a list": (named("/large.crl"), "too large"),
            "CRL at a special address": ({"end": LONG, "extensions": point(f"http://inside.{crls.zone}.test/good.crl")},
                                         "special-purpose range"),
            "CRL at an address": ({"end": LONG, "extensions": point(f"http://{bed.x.address}/good.crl")}, "CRL: "),
            "CRL by LDAP": ({"end": LONG, "extensions": point("ldap://crl.test/good.crl")}, "names no CRL"),
        }
        hosts = {what: Evil(bed, certificate=certificate) for what, (certificate, _) in kinds.items()}
        bed.pki.revoke(hosts["revoked leaf"].host_name)
        crls.publish("/good.crl")
        crls.publish("/between.crl", "between")
        crls.publish("/root.crl", "root")
        crls.publish("/stale.crl", start=-2 * DAY, end=-60)
        crls.files |= {"/moved.crl": 302, "/text.crl": b"<html>not here</html>", "/large.crl": b"0" * 70_000}
        stack.enter_context(configured(bed.b, crl_max="64k", **TRIED))
        stack.enter_context(crls)
        for host in hosts.values():
            stack.enter_context(host)
        offer_all(hosts, {what: reason for what, (_, reason) in kinds.items()})
        equal(len(box.new()), 4, "letters")
        equal(crls.asked.count("/good.crl"), 1, "times that a list was fetched which many need")
        equal([path for path in crls.asked if path not in [f"/{n}.crl" for n in (
            "good", "between", "root", "stale", "missing", "moved", "text", "large", "none")]], [], "other paths asked for")


def test_stapled(bed):
    """A stapled OCSP answer must be good if it is there: then nobody asks for the CRL. Revoked, stale, of another certificate,
    signed by somebody who may not, or garbage: refused."""
    box = Box(bed.b, "bob")
    kinds = {"good": ({}, None), "good by a delegate": ({"signer": "delegate"}, None),
             "revoked": ({"revoked": True}, r"is revoked \(OCSP"), "stale": ({"start": -3 * DAY, "end": -DAY}, "stale"),
             "signed by another of the issuer": ({"signer": "other"}, "not signed by"),
             "signed by a stranger": ({"signer": "stranger"}, "not signed by"),
             "of another": ({"of": f"{bed.pki.folder}/mx.a.test.crt"}, "another certificate"), "garbage": (None, "malformed")}
    with configured(bed.b, **TRIED), contextlib.ExitStack() as stack:
        hosts = {}
        for what, (options, _) in kinds.items():
            host = hosts[what] = Evil(bed, certificate={"end": LONG})  # without a CRL: the answer alone decides
            staple = b"\x30\x03\x0a\x01\x00" if options is None else ocsp_answer(bed, host.certificate[0], **options)
            host.host.context = Stapling(host.certificate, staple)
            stack.enter_context(host)
        offer_all(hosts, {what: reason for what, (_, reason) in kinds.items()})
        for what in kinds:
            check(hosts[what].host.context.asked >= 1, f"{what}: no OCSP answer was asked for")
        equal(len(box.new()), 2, "letters")


def test_soft(bed):
    """revocation = soft: a CRL that is not to be had, or a stale answer, is a line in the log and no more; a revoked certificate
    is refused as ever."""
    box = Box(bed.b, "bob")
    with CrlServer(bed) as crls, configured(bed.b, revocation="soft", **TRIED), contextlib.ExitStack() as stack:
        named = lambda path: {"end": LONG, "extensions": point(crls.url(path))}  # noqa: E731
        missing, none, revoked, stale = (Evil(bed, certificate=one) for one in (
            named("/missing.crl"), {"end": LONG}, named("/good.crl"), {"end": LONG}))
        bed.pki.revoke(revoked.host_name)
        crls.publish("/good.crl")
        stale.host.context = Stapling(stale.certificate, ocsp_answer(bed, stale.certificate[0], start=-3 * DAY, end=-DAY))
        log = daemon_log(bed.b, "fetchd")
        for host in (missing, none, revoked, stale):
            stack.enter_context(host)
        tickets = [host.ticket().offer() for host in (missing, none, revoked, stale)]
        for ticket in (tickets[0], tickets[1], tickets[3]):
            ticket.wait_job("acked")
        refuses(revoked, tickets[2], r"is revoked \(CRL", "revoked")
        log.wait(r"revocation is soft: no usable CRL: HTTP status 404")
        log.wait(r"revocation is soft: the certificate names no CRL")
        equal(len(box.new()), 3, "letters")


def test_slow_list(bed):
    """A CRL server that hangs: others' letters come at once meanwhile, its own are tried again, and fetchd ends without waiting
    for it."""
    box, over = Box(bed.b, "bob"), threading.Event()
    with CrlServer(bed) as crls, configured(bed.b, crl_timeout="4s", **TRIED), contextlib.ExitStack() as stack:
        named = [Evil(bed, certificate={"end": LONG, "extensions": point(crls.url(path))}) for path in (
            "/slow1.crl", "/slow2.crl", "/slow3.crl", "/good.crl")]
        crls.publish("/good.crl")
        crls.files |= {f"/slow{n}.crl": over for n in (1, 2, 3)}
        stack.callback(over.set)
        for host in (*named, honest := Evil(bed)):
            stack.enter_context(host)
        slow = [host.ticket().offer() for host in named[:3]]
        wait_for("lists to be asked for", lambda: len(crls.asked) >= 2, 10, 0.02)
        honest.ticket().offer().wait_job("acked", timeout=3)
        named[3].ticket().offer().wait_job("acked", timeout=15)
        refuses(named[0], slow[0], "no usable CRL: .*[Tt]imed out", "slow CRL")
        for host, ticket in zip(named, slow):
            equal(ticket.claims, [], "claims")
            equal(host.seen(), [], "requests")
        equal(len(box.new()), 2, "letters")
        before = len(crls.asked)
        bed.b.daemons.configure(crl_timeout="60s", **TRIED)
        bed.b.daemons.restart("fetchd")
        wait_for("lists to be asked for again", lambda: len(crls.asked) > before, 10, 0.02)
        check(not bed.b.daemons.stop_one("fetchd"), "fetchd had to be killed")


def test_revoked_later(bed):
    """A list is kept until its nextUpdate and asked for again then: a certificate that was good is refused once the new list
    names it; one whose list comes late is served then."""
    box = Box(bed.b, "bob")
    with CrlServer(bed) as crls, configured(bed.b, **TRIED):
        with Evil(bed, certificate={"end": LONG, "extensions": point(crls.url("/good.crl"))}) as evil:
            crls.publish("/good.crl", end=3)
            evil.ticket().offer().wait_job("acked")
            bed.pki.revoke(evil.host_name)
            crls.publish("/good.crl", end=DAY)
            wait_for("the old list to be forgotten and the new one to be fetched", lambda: (
                evil.ticket().offer().wait_tried(), len(crls.asked) >= 2)[1], 20, 0.3)
            ticket = evil.ticket().offer()
            job = ticket.wait_job("waiting", tries=1)
            check("is revoked (CRL" in job["text"], f"the job says: {job['text']}")
            equal(ticket.claims, [], "claims after the revocation")
    check(box.new(), "no letter came before the revocation")
