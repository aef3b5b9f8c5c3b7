"""nameserver: an authoritative name server for one scenario of the test suite, over UDP and TCP on 127.0.0.1.

Its zone is {name: [entry...]} as the suite writes it: {TYPE: value}, {TYPE: NONE} (no such record), {RCODE: number}, or TIMEOUT
(silence about every type of which there is no record). A name without a TXT entry has its SPF entries as TXT too. Answers of
more than 200 octets go over TCP.
"""

import socket
import socketserver
import struct
import threading

TYPES = {"A": 1, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SPF": 99}
UDP_MAX = 200
NOERROR, NXDOMAIN, SERVFAIL = 0, 3, 2
SILENCE = object()


def wire_name(name):
    labels = [label for label in name.encode("latin-1").split(b".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def rdata(kind, value):
    if kind in ("A", "AAAA"):
        return socket.inet_pton(socket.AF_INET if kind == "A" else socket.AF_INET6, value)
    if kind in ("PTR", "CNAME"):
        return wire_name(value)
    if kind == "MX":
        return struct.pack(">H", int(value[0])) + wire_name(value[1])
    strings = [value] if isinstance(value, str) else value
    pieces = [text.encode("latin-1")[at:at + 255] for text in strings for at in range(0, max(len(text), 1), 255)]
    return b"".join(bytes([len(piece)]) + piece for piece in pieces or [b""])  # no string at all is not possible in DNS


class Zone:
    def __init__(self, data):
        self.names = {name.lower().rstrip("."): self.read(entries) for name, entries in data.items()}

    @staticmethod
    def read(entries):
        """One name: ({type: [value...]}, silent about the rest, code)."""
        records, silent, code, has_txt = {}, False, NOERROR, False
        for entry in entries:
            if entry == "TIMEOUT":
                silent = True
                continue
            for kind, value in entry.items():
                has_txt = has_txt or kind == "TXT"
                if kind == "RCODE":
                    code = int(value)
                elif value == "TIMEOUT":
                    records[kind] = SILENCE
                elif value != "NONE":
                    records.setdefault(kind, []).append(value)
        if not has_txt and "SPF" in records:
            records["TXT"] = records["SPF"]
        return records, silent, code

    def find(self, name, kind):
        """(code, [(owner, type, value)...]) with the CNAMEs on the way, or SILENCE."""
        answers, seen = [], set()
        while True:
            key = name.lower()
            if key not in self.names:
                return NXDOMAIN, answers
            records, silent, code = self.names[key]
            values = records.get(kind, [])
            if values is SILENCE or (not values and silent):
                return SILENCE
            if code != NOERROR:
                return code, answers
            if values or "CNAME" not in records or key in seen:
                return NOERROR, answers + [(name, kind, value) for value in values]
            seen.add(key)
            answers.append((name, "CNAME", records["CNAME"][0]))
            name = records["CNAME"][0].rstrip(".")


def read_question(query):
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1"))
        at += 1 + query[at]
    number = struct.unpack(">H", query[at + 1:at + 3])[0]
    kind = next((kind for kind, known in TYPES.items() if known == number), None)
    return ".".join(labels), kind, query[12:at + 5]


def record(owner, kind, data):
    return wire_name(owner) + struct.pack(">HHIH", TYPES[kind], 1, 300, len(data)) + data


def reply(zone, query, most):
    """The answer to a query, or None for silence."""
    name, kind, question = read_question(query)
    found = zone.find(name, kind)
    if found is SILENCE:
        return None
    code, answers = found
    body = b"".join(record(owner, kind, rdata(kind, value)) for owner, kind, value in answers)
    authority = b"" if answers else record("", "SOA", wire_name("") * 2 + struct.pack(">5I", 1, 3600, 600, 86400, 300))
    flags, counts = 0x8580 | code, (1, len(answers), 0 if answers else 1, 0)
    if 12 + len(question) + len(body) + len(authority) > most:
        flags, counts, body, authority = flags | 0x0200, (1, 0, 0, 0), b"", b""
    return query[:2] + struct.pack(">5H", flags, *counts) + question + body + authority


class Udp(socketserver.BaseRequestHandler):
    def handle(self):
        query, sock = self.request
        answer = reply(self.server.zone, query, UDP_MAX)
        if answer is not None:
            sock.sendto(answer, self.client_address)


class Tcp(socketserver.StreamRequestHandler):
    def handle(self):
        length = struct.unpack(">H", self.rfile.read(2))[0]
        answer = reply(self.server.zone, self.rfile.read(length), 65535)
        if answer is not None:
            self.wfile.write(struct.pack(">H", len(answer)) + answer)


def serve(data, said):
    """Serves the zone for ever, after its port went into the pipe `said`."""
    zone = Zone(data)
    tcp = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Tcp)
    udp = socketserver.UDPServer(("127.0.0.1", tcp.server_address[1]), Udp)
    for server in (tcp, udp):
        server.zone = zone
    said.send(tcp.server_address[1])
    threading.Thread(target=tcp.serve_forever, daemon=True).start()
    udp.serve_forever()
