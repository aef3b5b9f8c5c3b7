"""The sender's domain is proven, or its stub is refused: each reason with its own code and sentence, nothing is kept."""

from admitting import Watch, address_of_x, offer, offer_of, records
from harness import Smtp, check, equal
from restante import a_stub, configured, main_cf, zones

NEEDS = ("restante",)
LONG = " ".join(['"' + "x" * 250 + '"'] * 40)  # 10 KB


def test_mx(bed):
    """No MX, a null MX, no such domain, an address literal."""
    watch = Watch(bed)
    with zones(bed, nomx=records(bed, "nomx", mx=None), nullmx=records(bed, "nullmx", mx="@ MX 0 .")):
        watch.expect(offer_of(bed, "nomx.test"), 550, "5.1.8", "no-mx", "a stub of a domain without MX")
        watch.expect(offer_of(bed, "nullmx.test"), 550, "5.7.27", "null-mx", "a stub of a domain with a null MX")
        watch.expect(offer_of(bed, "nowhere.test"), 550, "5.1.8", "no-domain", "a stub of no domain")
        got = offer(bed, a_stub("eve@nomx.test", host="pull.nomx.test"), f"restante+00@[{bed.x.address}]")
        check(got[0] // 100 == 5, f"answer to an address literal: {got}")
    watch.nothing()


def test_spf(bed):
    """Everything but a pass is refused; errors of the record are told apart, and those of DNS are temporary."""
    watch = Watch(bed)
    cases = {
        "fails": ("v=spf1 -all", 550, "5.7.23", "spf-fail"),
        "softly": ("v=spf1 ~all", 550, "5.7.23", "spf-softfail"),
        "neutral": ("v=spf1 ?all", 550, "5.7.23", "spf-neutral"),
        "silent": (None, 550, "5.7.23", "spf-none"),
        "broken": ("v=spf1 nonsense -all", 550, "5.7.24", "spf-permerror"),
        "double": (["v=spf1 +all", "v=spf1 -all"], 550, "5.7.24", "spf-permerror"),
        "looping": ("v=spf1 include:looping.test -all", 550, "5.7.24", "spf-permerror"),
        "unsure": ("v=spf1 include:unsigned.test -all", 451, "4.7.5", "dns-bogus"),
    }
    all_zones = {name: records(bed, name, spf=case[0]) for name, case in cases.items()}
    with zones(bed, unsigned=['@ TXT "v=spf1 +all"'], **all_zones):
        bed.dns.break_signatures("unsigned.test")
        for name, (_, code, enhanced, reason) in cases.items():
            watch.expect(offer_of(bed, f"{name}.test"), code, enhanced, reason, f"a stub of {name}.test")
    watch.nothing()


def test_hostile_records(bed):
    """10 KB of text beside the record and unknown tags in it do no harm; a loop of CNAMEs, two designations, one that is too
    long are none."""
    watch = Watch(bed)
    designation = "_restante 60 TXT"
    with zones(bed, large=records(bed, "large") + [f"@ TXT {LONG}"],
               unknown=[line.replace("r=1", "r=1; zz=future; q=1") for line in records(bed, "unknown")],
               twice=records(bed, "twice") + [f'{designation} "v=restante1; h=pull.twice.test"'],
               longest=records(bed, "longest", designation=False) +
               [f'{designation} "v=restante1; h=pull.longest.test; zz=" {LONG}'],
               circle=records(bed, "circle", designation=False) + ["_restante CNAME _restante2", "_restante2 CNAME _restante"]):
        for name in ("large", "unknown"):
            equal(offer_of(bed, f"{name}.test")[0], 250, f"answer to a stub of {name}.test")
        before = Watch(bed)
        for name in ("twice", "longest"):
            before.expect(offer_of(bed, f"{name}.test"), 550, "5.7.1", "no-designation", f"a stub of {name}.test")
        got = offer_of(bed, "circle.test")
        check(got[0] in (451, 550), f"answer to a stub of circle.test: {got}")
        before.nothing()
    watch.log.wait("reason=open")


def test_bogus_is_temporary(bed):
    watch = Watch(bed)
    with zones(bed, forged=records(bed, "forged")):
        bed.dns.break_signatures("forged.test")
        watch.expect(offer_of(bed, "forged.test"), 451, "4.7.5", "dns-bogus", "a stub of a domain that is bogus")
    watch.nothing()


def test_reverse_dns(bed):
    """A client without a name, and one whose name leads elsewhere."""
    watch = Watch(bed)
    with zones(bed, proven=records(bed, "proven")):
        with address_of_x(bed, 167) as bare, address_of_x(bed, 168, "mx.x.test") as elsewhere:
            watch.expect(offer_of(bed, "proven.test", source=bare), 550, "5.7.25", "rdns-none", "a client without a name")
            watch.expect(offer_of(bed, "proven.test", source=elsewhere), 550, "5.7.25", "rdns-unconfirmed",
                         "a client whose name leads elsewhere")
            watch.nothing()
            equal(offer_of(bed, "proven.test")[0], 250, "answer to a client whose name leads back")


def test_switched_off(bed):
    """Each of the three can be left out; the designation cannot."""
    with zones(bed, lax=records(bed, "lax", mx=None, spf="v=spf1 -all"), none=records(bed, "none", mx=None, designation=False)):
        with address_of_x(bed, 169) as bare:
            with configured(bed.b, require_mx="no", require_spf="no"):
                equal(offer_of(bed, "lax.test")[0], 250, "without MX and SPF")
                equal(offer_of(bed, "lax.test", source=bare)[:2], (550, "5.7.25"), "but reverse DNS")
            with configured(bed.b, require_mx="no", require_spf="no", require_reverse_dns="no"):
                equal(offer_of(bed, "lax.test", source=bare)[0], 250, "without all three")
                watch = Watch(bed)
                watch.expect(offer_of(bed, "none.test"), 550, "5.7.1", "no-designation", "a stub without a designation")
                watch.nothing()


def test_trusted_relays(bed):
    """A stub that comes by c, a backup MX of b's, is judged by the host that gave it to c; without the setting, by c."""
    def by_c(domain, source, sentence):
        top = (f"Received: from mx.{domain} ({sentence} [{source}])\r\n\tby mx.c.test (Postfix) with ESMTP id 4bXyz\r\n\t"
               "for <bob@b.test>; Sat, 21 Nov 2026 10:00:00 +0000 (UTC)\r\n").encode()
        return offer_of(bed, domain, site=bed.c, top=top)

    with zones(bed, relayed=records(bed, "relayed", spf="v=spf1 ip4:{net}.66 -all")):
        watch = Watch(bed)
        watch.expect(by_c("relayed.test", bed.x.address, "mx.x.test"), 550, "5.7.23", "spf-fail", "a stub by an unknown relay")
        with configured(bed.b, trusted_relays=f"{bed.c.address}, {bed.c.address6}"):
            watch = Watch(bed)
            watch.expect(by_c("relayed.test", "198.51.100.7", "unknown"), 550, "5.7.23", "spf-fail", "one that entered elsewhere")
            watch.nothing()
            equal(by_c("relayed.test", bed.x.address, "mx.x.test")[0], 250, "one that entered from its own host")
            watch.log.wait(rf"entered={bed.x.address}\b.*reason=open")
            # In earnest: Postfix at c takes it and hands it on.
            with main_cf(bed.c, relay_domains="b.test"):
                again = Watch(bed)
                with Smtp(bed.x, to=bed.c.address) as smtp:
                    smtp.send("restante+00@relayed.test", ["bob@b.test"], a_stub("eve@relayed.test", host="pull.relayed.test"))
                again.log.wait(rf"entered={bed.x.address}\b.*reason=open")


def test_too_much_from_one_host(bed):
    """The bucket of a client's network is empty: put off, whatever the stub is; nothing is kept."""
    with configured(bed.b, rate_client="2"):
        watch = Watch(bed)
        for _ in range(2):
            watch.expect(offer_of(bed, "nowhere.test"), 550, "5.1.8", "no-domain", "a stub of no domain")
        watch.expect(offer_of(bed, "nowhere.test"), 450, "4.7.1", "rate-client", "the third")
        watch.nothing()
