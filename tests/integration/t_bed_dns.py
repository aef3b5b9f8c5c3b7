"""The bed's DNS: validated answers forward and backward, proofs of absence, insecure and bogus zones, quick changes."""

from harness import equal


def test_forward_zones_validate(bed):
    """MX, addresses, SPF, TLSA of each site, and the designations of a and b, carry the AD flag."""
    for site in bed.sites():
        d = site.domain
        equal(bed.dns.ask(d, "MX"), ("NOERROR", True, [f"10 mx.{d}."]), f"MX of {d}")
        equal(bed.dns.ask(f"mx.{d}", "A"), ("NOERROR", True, [site.address]), f"A of mx.{d}")
        equal(bed.dns.ask(f"mx.{d}", "AAAA"), ("NOERROR", True, [site.address6]), f"AAAA of mx.{d}")
        equal(bed.dns.ask(d, "TXT"), ("NOERROR", True, ['"v=spf1 mx -all"']), f"SPF of {d}")
        equal(bed.dns.ask(f"_25._tcp.mx.{d}", "TLSA")[:2], ("NOERROR", True), f"TLSA of mx.{d}")
    for d in ("a.test", "b.test"):
        equal(bed.dns.ask(f"_restante.{d}", "TXT"),
              ("NOERROR", True, [f'"v=restante1; h=pull.{d}:443; r=1; a=abuse@{d}"']), f"designation of {d}")


def test_reverse_zones_validate(bed):
    """Both addresses of each site point back to its MX."""
    import ipaddress
    for site in bed.sites():
        for address in (site.address, site.address6):
            name = ipaddress.ip_address(address).reverse_pointer
            equal(bed.dns.ask(name, "PTR"), ("NOERROR", True, [f"mx.{site.domain}."]), f"PTR of {address}")


def test_absence_is_proved(bed):
    """A name in a known zone, one at c without designation, and one in no zone at all."""
    for name in ("nothing.a.test", "_restante.c.test", "nowhere.example"):
        equal(bed.dns.ask(name, "TXT"), ("NXDOMAIN", True, []), name)


def test_zones_come_and_change(bed):
    """A further zone is served, changed, broken, mended and removed, each seen at once."""
    try:
        bed.dns.zone("evil.test", ["@ MX 10 mx", "mx A 10.89.77.66", '@ TXT "one"'])
        equal(bed.dns.ask("evil.test", "TXT"), ("NOERROR", True, ['"one"']), "new zone")
        bed.dns.replace("evil.test", "@ TXT", '@ TXT "two"')
        equal(bed.dns.ask("evil.test", "TXT"), ("NOERROR", True, ['"two"']), "replaced record")
        bed.dns.add("evil.test", 'more TXT "three"')
        equal(bed.dns.ask("more.evil.test", "TXT"), ("NOERROR", True, ['"three"']), "added record")
        bed.dns.break_signatures("evil.test")
        equal(bed.dns.ask("evil.test", "TXT")[0], "SERVFAIL", "bogus zone")
        bed.dns.zone("evil.test", ['@ TXT "plain"'], signed=False)
        equal(bed.dns.ask("evil.test", "TXT"), ("NOERROR", False, ['"plain"']), "insecure zone")
    finally:
        bed.dns.remove("evil.test")
    equal(bed.dns.ask("evil.test", "TXT")[0], "NXDOMAIN", "removed zone")
