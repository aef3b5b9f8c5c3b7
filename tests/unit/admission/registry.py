#!/usr/bin/python3
"""registry.py CERTIFICATE KEY: an HTTPS server on 127.0.0.1 that answers as an RDAP service (RFC 9083), well or badly by the
domain's first label. Prints its port first; ends with its standard input."""

import http.server
import json
import ssl
import sys
import threading
import time

OLD = "1995-08-14T04:00:00Z"


def domain(name, events):
    return json.dumps({"rdapConformance": ["rdap_level_0"], "objectClassName": "domain", "handle": "1_TEST", "ldhName": name,
                       "status": ["active"], "events": events, "notices": [{"title": "Terms", "description": ["x" * 200]}]})


def answer(handler, name, port):
    good = [{"eventAction": "registration", "eventDate": OLD}, {"eventAction": "expiration", "eventDate": "2040-01-01T00:00:00Z"}]
    label = name.partition(".")[0]
    if label == "good":
        return 200, domain(name.upper(), good), ()
    if label == "missing":
        return 404, json.dumps({"errorCode": 404, "title": "not found"}), ()
    if label == "undated":
        return 200, domain(name, good[1:]), ()
    if label == "future":
        return 200, domain(name, [{"eventAction": "registration", "eventDate": "2390-01-01T00:00:00Z"}]), ()
    if label == "other":
        return 200, domain("another.test", good), ()
    if label == "huge":
        return 200, domain(name, good)[:-1] + ', "remarks": "' + "x" * 300_000 + '"}', ()
    if label == "broken":
        return 500, "oops", ()
    if label == "busy":
        return 429, "", ()
    if label == "moved":
        return 302, "", [("Location", "/domain/good.test" if handler.path.endswith("/moved.test") else "/")]
    if label == "there":
        return 302, "", [("Location", f"https://rdap.test:{port}/at/domain/there.test")] if "/at/" not in handler.path else None
    if label == "round":
        return 307, "", [("Location", handler.path)]
    if label == "plain":
        return 302, "", [("Location", f"http://rdap.test:{port}/domain/good.test")]
    if label == "inside":
        return 302, "", [("Location", f"https://inside.test:{port}/domain/good.test")]
    if label == "number":
        return 302, "", [("Location", f"https://127.0.0.1:{port}/domain/good.test")]
    if label == "slow":
        time.sleep(5)
    return 200, "{}", ()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.rpartition("/")[2]
        status, body, fields = answer(self, name, self.server.server_port)
        if fields is None:  # it is there
            status, body, fields = 200, domain(name, [{"eventAction": "registration", "eventDate": OLD}]), ()
        if self.headers.get("accept") != "application/rdap+json":
            status = 406
        try:
            self.send_response(status)
            for field in fields:
                self.send_header(*field)
            self.send_header("Content-Type", "application/rdap+json")
            self.end_headers()
            self.wfile.write(body.encode())
        except OSError:
            pass

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdin.read()
