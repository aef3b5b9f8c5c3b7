"""Only designated pullers get anything: the right key from a stranger's address is 403; a client certificate of an MX host that
verifies, or an address in p=, is enough; while DNS cannot tell, 503."""

import contextlib
import ssl

from certificates import DAY, LONG, CrlServer, point
from harness import check, daemon_log, equal, letter, submit
from puller import Offer, end, waiting
from restante import caught, configured, mail_records, zones

NEEDS = ("restante",)


def with_certificate(bed, offer, name, hosts, **issue):
    return offer.client(bed.x, certificate=bed.pki.issue(name, hosts, **issue))


def test_strangers(bed):
    """Ka stolen on the way: from x nothing works, and nothing changes; from b all does, by IPv4 and IPv6."""
    with waiting(bed, letter(), letter(), to="bob@b.test") as offers:
        offer = offers[0]
        with offer.client(bed.x) as stranger, offer.client(bed.x, address=bed.a.address6) as stranger6:
            for client in (stranger, stranger6):
                end(offer.head(client), 403)
                end(offer.claim(client), 403)
                end(offer.resume(client, 0), 403)
                end(offer.ack(client, digest=offer.lease + "A" * 21), 403)
                end(offer.nack(client), 403)
                end(offer.ask(client, "POST", "status", status="held"), 403)
        equal(offer.state(), "waiting", "state")
        for one, address in zip(offers, (bed.a.address, bed.a.address6)):
            with one.client(address=address) as client:
                end(one.claim(client), 200)
                end(one.ack(client), 204)


def test_client_certificates(bed):
    """From x: a certificate with b's MX host or link host in its subjectAltName that verifies is as good as b's address; one of
    another name, expired, self-signed, or with the name as common name alone is not."""
    with waiting(bed, letter(), to="bob@b.test") as offer:
        for number, hosts in enumerate((["mx.b.test"], ["other.test", "pull.b.test"], ["MX.B.Test"])):
            with with_certificate(bed, offer, f"good{number}", hosts) as client:
                end(offer.head(client), 204, f"answer to a certificate of {hosts}")
        bad = {"another name": (["mx.c.test"], {}), "a name below": (["x.mx.b.test"], {}), "the domain": (["b.test"], {}),
               "expired": (["mx.b.test"], {"start": -9 * 86400, "end": -60}), "self-signed": (["mx.b.test"], {"by": "self"}),
               "star": (["*.test"], {})}
        for what, (hosts, issue) in bad.items():
            # Whether the handshake is refused or the certificate ignored makes no difference.
            with contextlib.suppress(ssl.SSLError, ConnectionError):
                with with_certificate(bed, offer, "bad " + what.replace(" ", "-"), hosts, **issue) as client:
                    answer = offer.head(client)
                    check(answer.status in (403, None), f"{what}: answer {answer.status}")
        with with_certificate(bed, offer, "good9", ["mx.b.test"]) as client:
            end(offer.claim(client), 200)
            end(offer.ack(client), 204)


def test_revoked_certificates(bed):
    """A long-lived certificate of b's MX host is as good as b's address while its CRL says so; revoked: 403; its CRL stale, missing
    or none named: 503 with Retry-After, and with revocation = soft served."""
    with CrlServer(bed) as crls, waiting(bed, letter(), to="bob@b.test") as offer:
        def ask(name, want, path):
            extensions = {"extensions": point(crls.url(path))} if path else {}
            certificate = known.get(name) or bed.pki.issue(name, ["mx.b.test"], end=LONG, **extensions)
            known[name] = certificate
            with offer.client(bed.x, certificate=certificate) as client:
                answer = end(offer.head(client), want, f"answer to a certificate ({name})")
                check(want != 503 or int(answer.headers["retry-after"]) >= 1, "Retry-After")
        known, log = {}, daemon_log(bed.a, "fetchd")
        known["revoked"] = bed.pki.issue("revoked", ["mx.b.test"], end=LONG, extensions=point(crls.url("/good.crl")))
        bed.pki.revoke("revoked")
        crls.publish("/good.crl")
        crls.publish("/stale.crl", start=-2 * DAY, end=-60)
        ask("good", 204, "/good.crl")
        ask("revoked", 403, "/good.crl")
        equal(crls.asked.count("/good.crl"), 1, "times that the list was fetched")
        for name, path in (("stale", "/stale.crl"), ("missing", "/missing.crl"), ("unnamed", None)):
            ask(name, 503, path)
        log.wait(r"status=rejected \(the certificate is revoked \(CRL, CN=mx.b.test")
        log.wait(r"status=deferred \(no usable CRL: HTTP status 404")
        with configured(bed.a, revocation="soft"):
            ask("missing", 204, "/missing.crl")
            ask("revoked", 403, "/good.crl")


def test_designated_addresses(bed):
    """x for other domains: by p= (address and network, v4 and v6), by MX, by link host; not by p= of another address. 503 with
    Retry-After while the domain's DNS is bogus."""
    x4, x6 = bed.x.address, bed.x.address6
    base = "v=restante1; h=pull.a.test; r=1"
    kinds = {
        "p4": (["@ MX 10 mx.c.test."], f"{base}; p=ip4:192.0.2.1,ip4:{x4}", x4, 204),
        "pnet": (["@ MX 10 mx.c.test."], f"{base}; p=ip4:{x4.rpartition('.')[0]}.64/26", x4, 204),
        "p6": (["@ MX 10 mx.c.test."], f"{base}; p=ip6:{x6}", x6, 204),
        "pother": (["@ MX 10 mx.c.test."], f"{base}; p=ip4:{x4.rpartition('.')[0]}.67,ip6:{x6}5", x4, 403),
        "mx": (["@ MX 10 mx.c.test.", "@ MX 20 back", f"back A {x4}"], base, x4, 204),
        "link": (["@ MX 10 mx.c.test.", f"pull A {x4}"], "v=restante1; h=pull.link.test; r=1", x4, 204),
        "none": (["@ MX 10 mx.c.test."], base, x4, 403),
        "bogus": (["@ MX 10 mx", f"mx A {x4}"], base, x4, 503),
    }
    records = {name: lines + [f'_restante TXT "{record}"'] for name, (lines, record, _, _) in kinds.items()}
    with zones(bed, **records), contextlib.ExitStack() as stack:
        offers = {}
        raw = letter(to=", ".join(f"bob@{name}.test" for name in kinds))
        sink = stack.enter_context(caught(bed, *(f"{name}.test" for name in kinds)))
        submit(bed.a, "alice@a.test", [f"bob@{name}.test" for name in kinds], raw)
        for mail in sink.wait(len(kinds)):
            to = mail.recipients[0][0]
            offers[to.partition("@")[2].removesuffix(".test")] = Offer(bed, raw, mail, to)
        bed.dns.break_signatures("bogus.test")
        for name, (_, _, address, status) in kinds.items():
            with offers[name].client(bed.x, address=bed.a.address6 if ":" in address else None) as client:
                answer = end(offers[name].head(client), status, name)
                if status == 503:
                    check(int(answer.headers["retry-after"]) >= 1, "Retry-After")
        with offers["p4"].client(bed.x) as client:
            end(offers["p4"].claim(client), 200)


def test_pickup_domains(bed):
    """For a domain that the administrator switched to pickup Ka alone is enough."""
    with configured(bed.a, pickup_domains="b.test"), waiting(bed, letter(), to="bob@b.test") as offer, offer.client(bed.x) as client:
        end(offer.claim(client), 200)
        end(offer.ack(client), 204)
        equal(offer.state(), "delivered", "state")
