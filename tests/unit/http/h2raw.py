"""HTTP/2 by hand: frames as they stand in RFC 9113, for clients that misbehave. Standard library alone."""
import socket
import ssl
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS = 1, 1, 4
NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM, ENHANCE_YOUR_CALM = 0, 1, 7, 11


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def hpack_int(value, bits):
    top = (1 << bits) - 1
    if value < top:
        return bytes([value])
    out = [top]
    value -= top
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    return bytes(out + [value])


def hpack(fields):
    """Literal fields without indexing and without Huffman."""
    out = b""
    for name, value in fields:
        name, value = name.encode(), value.encode()
        out += b"\0" + hpack_int(len(name), 7) + name + hpack_int(len(value), 7) + value
    return out


def request(method, path, extra=(), scheme="https"):
    return hpack([(":method", method), (":scheme", scheme), (":authority", "a.test"), (":path", path)] + list(extra))


def status_of(block):
    """The :status that stands first in a server's header block."""
    while block[0] & 0xe0 == 0x20:  # dynamic table size update
        block = block[1:]
    if block[0] & 0x80:
        return {8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500}[block[0] & 0x7f]
    length, value = block[1], block[2:]
    if not length & 0x80:
        return int(value[:length])
    bits = "".join("{:08b}".format(b) for b in value[:length & 0x7f])
    codes = {"00000": "0", "00001": "1", "00010": "2", "011001": "3", "011010": "4", "011011": "5", "011100": "6",
             "011101": "7", "011110": "8", "011111": "9"}
    digits, at = "", 0
    while len(digits) < 3:
        for size in (5, 6):
            if bits[at:at + size] in codes:
                digits += codes[bits[at:at + size]]
                at += size
                break
        else:
            raise ValueError(bits)
    return int(digits)


class Closed(Exception):
    """The server closed; `error` is that of its GOAWAY, None if there was none."""

    def __init__(self, error):
        super().__init__("closed, GOAWAY %s" % error)
        self.error = error


class Connection:
    def __init__(self, sock, settings=b"", preface=PREFACE):
        self.sock = sock
        self.sock.settimeout(15)
        if self.sock.family != socket.AF_UNIX:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.goaway = None
        self.stream = -1
        self.sock.sendall(preface + frame(SETTINGS, payload=settings))

    def send(self, data):
        """Sending may fail because the server has closed: the reason is then read."""
        try:
            self.sock.sendall(data)
        except OSError:
            pass

    def next_frame(self):
        while len(self.received) < 9 or len(self.received) < 9 + int.from_bytes(self.received[:3], "big"):
            try:
                data = self.sock.recv(65536)
            except (ssl.SSLEOFError, ConnectionResetError, BrokenPipeError):
                data = b""
            if not data:
                raise Closed(self.goaway)
            self.received += data
        length = int.from_bytes(self.received[:3], "big")
        kind, flags = self.received[3:5]
        stream = int.from_bytes(self.received[5:9], "big") & 0x7fffffff
        payload = self.received[9:9 + length]
        self.received = self.received[9 + length:]
        if kind == GOAWAY:
            self.goaway = int.from_bytes(payload[4:8], "big")
        if kind == SETTINGS and not flags & ACK:
            self.send(frame(SETTINGS, ACK))
        return kind, flags, stream, payload

    def new_stream(self):
        self.stream += 2
        return self.stream

    def get(self, path, method="GET", body=b"", extra=(), grow=True):
        """One request; (status, body). grow: give the window back."""
        stream = self.new_stream()
        self.sock.sendall(frame(HEADERS, END_HEADERS | (0 if body else END_STREAM), stream,
                                request(method, path, extra)) +
                          (frame(DATA, END_STREAM, stream, body) if body else b""))
        return self.answer(stream, grow)

    def answer(self, wanted, grow=True):
        status, got = None, b""
        while True:
            kind, flags, stream, payload = self.next_frame()
            if stream != wanted:
                continue
            if kind == HEADERS:
                status = status_of(payload)
            if kind == RST_STREAM:
                return "reset", int.from_bytes(payload, "big")
            if kind == DATA:
                got += payload
                if grow and payload:
                    more = struct.pack(">I", len(payload))
                    self.sock.sendall(frame(WINDOW_UPDATE, 0, 0, more) + frame(WINDOW_UPDATE, 0, stream, more))
            if kind in (HEADERS, DATA) and flags & END_STREAM:
                return status, got

    def until_closed(self):
        """Reads to the end; the GOAWAY's error, or None."""
        try:
            while True:
                self.next_frame()
        except Closed as closed:
            return closed.error

    def close(self):
        self.sock.close()


def unix(path, **more):
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(path)
    return Connection(sock, **more)


def tls_socket(port, context, before=b"", session=None):
    """A TLS connection to 127.0.0.1; `before` goes out in the clear first."""
    raw = socket.create_connection(("127.0.0.1", port), timeout=15)
    raw.sendall(before)
    return context.wrap_socket(raw, server_hostname="a.test", session=session)
