"""Young domains: an organisation that this site has not known for long, or that was registered lately (by RDAP, asked of a real
HTTPS server), is not refused: its letters wait as contact attempts until the mailbox's owner allows them."""

import contextlib
import http.server
import json
import os
import ssl
import threading
import time

from evil import Evil
from harness import Box, check, equal, wait_for
from owner import attempt, clean, do
from restante import configured, zones

NEEDS = ("restante",)
BOB = "bob@b.test"
DAY = 86400


@contextlib.contextmanager
def registry(bed):
    """An RDAP service (RFC 9083) at x. Yields its base URL, the dict domain -> registration (seconds since 1970, or an HTTP
    status below 1000), and the list of domains that were asked for."""
    zone, dates, asked = f"rdap{os.getpid()}", {}, []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path.removeprefix("/v1/domain/")
            asked.append(name)
            found = dates.get(name, 404)
            body = {"errorCode": found, "title": "no"}
            if found >= 1000:
                at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(found))
                body = {"objectClassName": "domain", "ldhName": name, "events": [
                    {"eventAction": "last changed", "eventDate": "2001-01-01T00:00:00Z"},
                    {"eventAction": "registration", "eventDate": at}]}
            self.send_response(200 if found >= 1000 else found)
            self.send_header("Content-Type", "application/rdap+json")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_):
            pass

    with bed.x.inside():
        server = http.server.ThreadingHTTPServer((bed.x.address, 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*bed.pki.issue(zone, [f"rdap.{zone}.test"]))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        with zones(bed, **{zone: [f"rdap A {bed.x.address}"]}):
            yield f"https://rdap.{zone}.test:{server.server_port}/v1/", dates, asked
    finally:
        server.shutdown()
        server.server_close()


def test_registered_lately(bed):
    """Registered three days ago: waits, no key goes to its host, and allow brings it. Registered long ago, not known to the
    registry, or the registry fails: taken as ever. A date is asked for once."""
    with registry(bed) as (url, dates, asked), clean(bed.b, BOB), contextlib.ExitStack() as stack:
        hosts = {what: Evil(bed) for what in ("young", "old", "unknown", "failing")}
        for what, at in (("young", time.time() - 3 * DAY), ("old", time.time() - 300 * DAY), ("failing", 500)):
            dates[hosts[what].domain] = int(at)
        stack.enter_context(configured(bed.b, rdap_url=url))
        for host in hosts.values():
            stack.enter_context(host)
        box = Box(bed.b, "bob")
        young = hosts["young"].ticket().offer()
        for what in ("old", "unknown", "failing"):
            hosts[what].ticket().offer().wait_job("acked")
        seen = attempt(bed.b, BOB, f"eve@{hosts['young'].domain}")
        equal((seen["reason"], seen["verified"]), ("young", hosts["young"].domain), "the attempt")
        equal(young.claims, [], "claims")
        equal(len(box.new()), 3, "letters")
        hosts["old"].ticket().offer().wait_job("acked")
        equal(asked.count(hosts["old"].domain), 1, "times that a date was asked for")
        do(bed.b, "allow", BOB, f"eve@{hosts['young'].domain}")
        wait_for("the letter to be called for", lambda: young.acks, 20, 0.05)
        equal(len(box.wait(5)), 5, "letters")
        check(set(asked) == {host.domain for host in hosts.values()}, f"asked for {asked}")


def test_seen_lately(bed):
    """The first letter of an organisation makes it known; until first_seen_min has passed all of its letters wait."""
    with clean(bed.b, BOB), configured(bed.b, first_seen_min="3s"), Evil(bed) as evil:
        first = evil.ticket().offer()
        equal(attempt(bed.b, BOB, f"eve@{evil.domain}")["reason"], "young", "reason")
        equal(first.claims, [], "claims")

        def taken():
            ticket = evil.ticket().offer()
            with contextlib.suppress(Exception):
                return ticket.wait_job("acked", timeout=1)
        wait_for("a later letter to be taken", taken, 20, 0.5)
