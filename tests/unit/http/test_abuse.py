#!/usr/bin/python3
"""Misbehaving HTTP/2 and TLS clients against the real server: each is closed with the right error, while others
go on being served. usage: test_abuse.py HTTP_SITE [CASE...]"""
import concurrent.futures
import os
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import warnings

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from h2raw import *  # noqa: E402,F403

warnings.simplefilter("ignore", DeprecationWarning)  # the old TLS versions are named on purpose
CASES = []


def case(function):
    CASES.append(function)
    return function


def equal(got, want):
    if got != want:
        raise AssertionError("got %r, want %r" % (got, want))


class Site:
    """A running http_site, with certificates of its own."""

    def __init__(self, program, folder, **options):
        self.folder = folder
        for _ in range(5):  # the free port that was found may be taken meanwhile
            if self.start(program, options):
                return
        raise AssertionError(self.process.stderr.read().decode())

    def start(self, program, options):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        arguments = {"tls": "127.0.0.1:%d" % self.port, "certificate": self.folder + "/server.pem",
                     "key": self.folder + "/server.key"}
        arguments.update(options)
        self.process = subprocess.Popen([program] + ["%s=%s" % pair for pair in arguments.items()],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.unix = self.process.stdout.readline().decode().strip()
        return self.unix != ""

    def tell(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().decode().strip()

    def counts(self):
        names = "handled states released complete incomplete at_gate".split()
        return dict(zip(names, map(int, self.tell("counts").split())))

    def stop(self):
        """Ends it; a crash or a sanitizer's report fails the case."""
        try:
            _, errors = self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError("http_site does not stop")
        if self.process.returncode != 0 or b"Sanitizer" in errors:
            raise AssertionError("http_site ended with %s\n%s" % (self.process.returncode, errors.decode()))

    def context(self, alpn=("h2",), certificate=None, **more):
        context = ssl.create_default_context(cafile=self.folder + "/ca.pem")
        if alpn:
            context.set_alpn_protocols(list(alpn))
        if certificate:
            context.load_cert_chain(self.folder + "/" + certificate + ".pem", self.folder + "/" + certificate + ".key")
        for name, value in more.items():
            setattr(context, name, value)
        return context

    def tls(self, before=b"", context=None, **more):
        return Connection(tls_socket(self.port, context or self.context(), before), **more)


def make_certificates(folder):
    def openssl(*arguments):
        subprocess.run(("openssl",) + arguments, check=True, cwd=folder, stdout=subprocess.DEVNULL,
                       stderr=subprocess.PIPE)

    def issue(name, host, usage="serverAuth", days="2", ca="ca"):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", name + ".key",
                "-out", name + ".csr", "-subj", "/CN=" + name)
        with open(folder + "/ext", "w") as ext:
            ext.write("subjectAltName=DNS:%s\nextendedKeyUsage=%s\nbasicConstraints=CA:FALSE\n" % (host, usage))
        openssl("x509", "-req", "-in", name + ".csr", "-CA", ca + ".pem", "-CAkey", ca + ".key", "-CAcreateserial",
                "-days", days, "-extfile", "ext", "-out", name + ".pem")

    for ca in ("ca", "other"):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3",
                "-subj", "/CN=" + ca, "-keyout", ca + ".key", "-out", ca + ".pem", "-addext",
                "keyUsage=critical,keyCertSign")
    issue("server", "a.test")
    issue("second", "a.test")
    issue("puller", "mx.b.test")
    issue("mailonly", "mx.b.test", usage="emailProtection")
    issue("stranger", "mx.b.test", ca="other")


class Bystander(threading.Thread):
    """An innocent client of the same server, who must be served all the while."""

    def __init__(self, site):
        super().__init__(daemon=True)
        self.connection = unix(site.unix)
        self.ended, self.error = False, None
        self.start()

    def run(self):
        try:
            while True:
                last = self.ended
                equal(self.connection.get("/hello"), (200, b"hello\n"))
                if last:
                    return
                time.sleep(0.05)
        except Exception as error:
            self.error = error

    def stop(self):
        self.ended = True
        self.join(15)
        self.connection.close()
        if self.error is not None or self.is_alive():
            raise AssertionError("another client was harmed: %s" % self.error)


# ---- frames that carry nothing ----


def flooded(connection, frames):
    """Sends the frames, reads to the end."""
    connection.send(frames)
    return connection.until_closed()


@case
def a_thousand_resets_end_the_connection(site):
    for connect in (site.tls, lambda: unix(site.unix)):
        c = connect()
        frames = b""
        for _ in range(1000):
            stream = c.new_stream()
            frames += frame(HEADERS, END_HEADERS | END_STREAM, stream, request("GET", "/hello"))
            frames += frame(RST_STREAM, 0, stream, struct.pack(">I", 8))
        equal(flooded(c, frames), ENHANCE_YOUR_CALM)


@case
def a_thousand_pings_end_the_connection(site):
    equal(flooded(site.tls(), frame(PING, 0, 0, b"12345678") * 1000), ENHANCE_YOUR_CALM)


@case
def a_thousand_settings_end_the_connection(site):
    equal(flooded(site.tls(), frame(SETTINGS) * 1000), ENHANCE_YOUR_CALM)


@case
def a_thousand_empty_data_frames_end_the_connection(site):
    c = site.tls()
    stream = c.new_stream()
    head = frame(HEADERS, END_HEADERS, stream, request("POST", "/count"))
    equal(flooded(c, head + frame(DATA, 0, stream) * 1000), ENHANCE_YOUR_CALM)
    padding = frame(DATA, 8, stream, b"\x05" + bytes(5))
    c = site.tls()
    stream = c.new_stream()
    equal(flooded(c, head + padding * 1000), ENHANCE_YOUR_CALM)


@case
def resets_of_answered_streams_are_no_nuisance(site):
    """libcurl resets each stream after the whole answer: many letters share one connection all the same."""
    c = site.tls()
    for _ in range(1500):
        equal(c.get("/hello"), (200, b"hello\n"))
        c.send(frame(RST_STREAM, 0, c.stream, struct.pack(">I", 8)))


@case
def a_thousand_resets_made_by_us_end_the_connection(site):
    """Streams that are wrong by themselves make the server send RST_STREAM (MadeYouReset)."""
    c = site.tls()
    frames = b""
    for _ in range(1000):
        stream = c.new_stream()
        frames += frame(HEADERS, END_HEADERS, stream, request("GET", "/hello"))
        frames += frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", 0x7fffffff))
    equal(flooded(c, frames), ENHANCE_YOUR_CALM)


@case
def a_few_of_each_are_forgiven(site):
    c = site.tls()
    c.send(frame(PING, 0, 0, b"12345678") * 50 + frame(SETTINGS) * 50)
    for _ in range(50):
        stream = c.new_stream()
        c.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, request("GET", "/hello")) +
               frame(RST_STREAM, 0, stream, struct.pack(">I", 8)))
    equal(c.get("/hello"), (200, b"hello\n"))


# ---- heads ----


@case
def endless_continuation_ends_the_connection(site):
    c = site.tls()
    stream = c.new_stream()
    c.send(frame(HEADERS, END_STREAM, stream, request("GET", "/hello")))
    equal(flooded(c, frame(CONTINUATION, 0, stream, hpack([("x", "y")])) * 1000), ENHANCE_YOUR_CALM)
    c = site.tls()
    c.send(frame(HEADERS, END_STREAM, 1, request("GET", "/hello")))
    equal(flooded(c, frame(CONTINUATION, 0, 1) * 1000), ENHANCE_YOUR_CALM)


@case
def a_header_list_of_100_kb_ends_the_connection(site):
    c = site.tls()
    block = request("GET", "/hello", [("x-%d" % i, "y" * 1000) for i in range(100)])
    pieces = [block[i:i + 16000] for i in range(0, len(block), 16000)]
    frames = frame(HEADERS, END_STREAM, 1, pieces[0])
    for piece in pieces[1:-1]:
        frames += frame(CONTINUATION, 0, 1, piece)
    equal(flooded(c, frames + frame(CONTINUATION, END_HEADERS, 1, pieces[-1])), ENHANCE_YOUR_CALM)


@case
def a_header_list_bomb_ends_the_connection(site):
    """One large field in the dynamic table, named again and again by one byte each."""
    c = site.tls()
    block = request("GET", "/hello") + b"\x40" + hpack_int(1, 7) + b"x" + hpack_int(3000, 7) + b"y" * 3000
    equal(flooded(c, frame(HEADERS, END_STREAM | END_HEADERS, 1, block + b"\xbe" * 5000)), ENHANCE_YOUR_CALM)


@case
def a_header_list_below_the_limit_is_served(site):
    c = site.tls()
    equal(c.get("/field?x-9", extra=[("x-%d" % i, "y" * 1000) for i in range(14)]), (200, b"y" * 1000))
    equal(c.get("/field?twice", extra=[("twice", "a"), ("once", "1"), ("twice", "b"), ("twice", "c")]),
          (200, b"a, b, c"))


@case
def malformed_requests_are_reset(site):
    """RFC 9113 8.1.1: nghttp2's own checks stand."""
    for extra in ([("Upper", "x")], [("connection", "close")], [("x", "a\nb")], [(":path", "/again")],
                  [("content-length", "5")], [("te", "gzip")]):
        kind, error = site.tls().get("/echo", extra=extra)
        equal((kind, error), ("reset", PROTOCOL_ERROR))


@case
def more_settings_than_any_client_needs_end_the_connection(site):
    c = site.tls()
    error = flooded(c, frame(SETTINGS, 0, 0, struct.pack(">HI", 0x4242, 1) * 1000))
    equal(error in (ENHANCE_YOUR_CALM, PROTOCOL_ERROR, 2), True)


# ---- slow ones ----


@case
def a_head_that_never_ends_ends_the_connection(site):
    c = site.tls()
    c.get("/hello")
    c.send(frame(HEADERS, END_STREAM, c.new_stream(), request("GET", "/hello")))
    began = time.monotonic()
    equal(c.until_closed(), ENHANCE_YOUR_CALM)
    equal(0.3 < time.monotonic() - began < 10, True)


@case
def a_body_that_never_ends_ends_the_connection(site):
    for path in ("/count", "/echo"):
        c = site.tls()
        c.send(frame(HEADERS, END_HEADERS, 1, request("POST", path)) + frame(DATA, 0, 1, b"begin"))
        equal(c.until_closed(), ENHANCE_YOUR_CALM)


@case
def a_collected_body_may_not_dribble(site):
    c = site.tls()
    c.send(frame(HEADERS, END_HEADERS, 1, request("POST", "/echo")))
    for _ in range(12):
        c.send(frame(DATA, 0, 1, b"."))
        time.sleep(0.1)
    equal(c.until_closed(), ENHANCE_YOUR_CALM)


@case
def who_does_not_open_his_window_is_closed(site):
    c = site.tls()
    before = site.counts()
    c.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, request("GET", "/file?50000000")))
    equal(c.until_closed(), ENHANCE_YOUR_CALM)
    time.sleep(0.2)
    after = site.counts()
    equal(after["incomplete"] - before["incomplete"], 1)


@case
def who_does_not_read_is_closed(site):
    wide = struct.pack(">HI", 4, 0x7fffffff)
    c = site.tls(settings=wide)
    c.send(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 0x7fff0000 - 65535)))
    before = site.counts()
    c.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, request("GET", "/file?500000000")))
    for _ in range(60):
        time.sleep(0.1)
        if site.counts()["incomplete"] > before["incomplete"]:
            break
    equal(site.counts()["incomplete"], before["incomplete"] + 1)


@case
def a_reader_above_the_minimum_rate_is_served(site):
    c = site.tls()
    stream = c.new_stream()
    c.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, request("GET", "/file?150000")))
    got, ended = 0, False
    while not ended:
        kind, flags, _, payload = c.next_frame()
        if kind == DATA:
            got += len(payload)
            ended = bool(flags & END_STREAM)
            if got >= 65535 and payload:
                time.sleep(0.1)
            more = struct.pack(">I", max(1, len(payload)))
            c.send(frame(WINDOW_UPDATE, 0, 0, more) + frame(WINDOW_UPDATE, 0, stream, more))
    equal(got, 150000)


@case
def an_idle_connection_gets_a_goodbye(site):
    c = site.tls()
    c.get("/hello")
    equal(c.until_closed(), NO_ERROR)


@case
def a_client_without_settings_is_closed(site):
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(site.unix)
    sock.settimeout(10)
    sock.sendall(PREFACE[:10])
    while sock.recv(1000):
        pass


@case
def http_1_on_the_socket_is_a_protocol_error(site):
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(site.unix)
    c = Connection(sock, preface=b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    equal(c.until_closed(), PROTOCOL_ERROR)


# ---- too many ----


@case
def handlers_left_behind_by_resets_are_bounded(site):
    """Streams reset while their handlers wait: the next ones are refused, and all are released once."""
    before = site.counts()
    site.tell("gate 0")
    busy = site.tls()
    for _ in range(4):  # all threads of the pool
        busy.send(frame(HEADERS, END_HEADERS | END_STREAM, busy.new_stream(), request("GET", "/wait")))
    while site.counts()["at_gate"] < 4:
        time.sleep(0.01)
    c = site.tls()
    for _ in range(4):
        streams = [c.new_stream() for _ in range(30)]
        for stream in streams:
            c.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, request("GET", "/wait")))
        for stream in streams:
            c.send(frame(RST_STREAM, 0, stream, struct.pack(">I", 8)))
        time.sleep(0.05)
    equal(c.get("/hello"), ("reset", REFUSED_STREAM))
    site.tell("gate 1")
    time.sleep(0.3)
    after = site.counts()
    equal(after["states"] - before["states"], after["released"] - before["released"])
    equal(after["at_gate"], 0)
    equal(c.get("/hello")[0], 200)


@case
def more_streams_than_allowed_are_refused(site):
    c = site.tls()
    c.get("/hello")
    site.tell("gate 0")
    for _ in range(40):
        c.send(frame(HEADERS, END_HEADERS | END_STREAM, c.new_stream(), request("GET", "/wait")))
    kind, flags, stream, payload = c.next_frame()
    while kind != RST_STREAM and c.goaway is None:
        kind, flags, stream, payload = c.next_frame()
    equal(kind in (RST_STREAM, GOAWAY), True)
    site.tell("gate 1")


@case
def connections_of_one_address_are_capped(site):
    open_ones = []
    refused = 0
    for _ in range(40):
        try:
            open_ones.append(tls_socket(site.port, site.context()))
        except OSError:
            refused += 1
    equal(len(open_ones), 32)
    equal(refused, 8)
    for sock in open_ones:
        sock.close()
    time.sleep(0.2)
    equal(site.tls().get("/hello")[0], 200)


@case
def an_upload_beyond_the_drain_is_answered_and_reset(site):
    c = site.tls()
    c.get("/hello")
    stream = c.new_stream()
    c.send(frame(HEADERS, END_HEADERS, stream, request("POST", "/refuse")))
    c.sock.settimeout(5)
    status, error = None, None
    sent = 0
    while error is None and sent < 4000000:
        c.send(frame(DATA, 0, stream, bytes(16000)))
        sent += 16000
        if sent < 900000:
            continue
        c.sock.settimeout(0.02)
        try:
            kind, _, at, payload = c.next_frame()
            if at == stream and kind == HEADERS:
                status = status_of(payload)
            if at == stream and kind == RST_STREAM:
                error = int.from_bytes(payload, "big")
        except (TimeoutError, socket.timeout, ssl.SSLWantReadError):
            pass
    equal((status, error), (403, NO_ERROR))


# ---- TLS ----


def refusal(action):
    try:
        action()
    except (ssl.SSLError, ConnectionError) as error:
        return str(error)
    raise AssertionError("the handshake was not refused")


@case
def other_protocols_are_refused_by_an_alert(site):
    for alpn in (["http/1.1"], ["h2c", "http/1.1"], ["h3"], None):
        said = refusal(lambda: tls_socket(site.port, site.context(alpn=alpn)).recv(1))
        equal("NO_APPLICATION_PROTOCOL" in said.upper().replace(" ", "_"), True)
    equal(tls_socket(site.port, site.context(alpn=["http/1.1", "h2"])).selected_alpn_protocol(), "h2")


@case
def old_versions_and_suites_are_refused(site):
    old = site.context()
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    refusal(lambda: tls_socket(site.port, old))
    for suites in ("ECDHE+AESCCM:ECDHE+SHA256:ECDHE+SHA384", "kRSA"):
        weak = site.context()
        weak.maximum_version = ssl.TLSVersion.TLSv1_2
        weak.set_ciphers(suites + ":!AESGCM:!CHACHA20")
        refusal(lambda: tls_socket(site.port, weak))
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        good = site.context()
        good.minimum_version = good.maximum_version = version
        equal(Connection(tls_socket(site.port, good)).get("/hello")[0], 200)


@case
def a_handshake_that_does_not_come_is_closed(site):
    for begin in (b"", b"\x16\x03\x01\x02\x00\x01\x00"):
        sock = socket.create_connection(("127.0.0.1", site.port))
        sock.settimeout(10)
        sock.sendall(begin)
        began = time.monotonic()
        equal(sock.recv(100), b"")
        equal(time.monotonic() - began > 0.5, True)


@case
def rubbish_in_place_of_a_handshake_is_closed(site):
    sock = socket.create_connection(("127.0.0.1", site.port))
    sock.settimeout(10)
    sock.sendall(b"GET / HTTP/1.1\r\n\r\n" * 100)
    while sock.recv(1000):
        pass


@case
def sessions_are_resumed_by_ticket(site):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = site.context()
        context.minimum_version = context.maximum_version = version
        first = tls_socket(site.port, context)
        equal(Connection(first).get("/hello")[0], 200)
        second = tls_socket(site.port, context, session=first.session)
        equal(second.session_reused, True)
        equal(Connection(second).get("/hello")[0], 200)


@case
def the_certificate_is_reloaded(site):
    def serial(sock):
        return sock.getpeercert()["serialNumber"]

    running = site.tls()
    equal(running.get("/hello")[0], 200)
    old = serial(running.sock)
    shutil.copy(site.folder + "/server.pem", site.folder + "/kept.pem")
    shutil.copy(site.folder + "/server.key", site.folder + "/kept.key")
    with open(site.folder + "/server.pem", "w") as broken:
        broken.write("nonsense")
    equal(site.tell("reload").split()[0], "config")
    equal(serial(site.tls().sock), old)
    shutil.copy(site.folder + "/second.pem", site.folder + "/server.pem")
    equal(site.tell("reload").split()[0], "config")  # the key does not fit yet
    equal(serial(site.tls().sock), old)
    shutil.copy(site.folder + "/second.key", site.folder + "/server.key")
    equal(site.tell("reload").split()[0], "ok")
    equal(serial(site.tls().sock) != old, True)
    equal(running.get("/hello")[0], 200)
    shutil.copy(site.folder + "/kept.pem", site.folder + "/server.pem")
    shutil.copy(site.folder + "/kept.key", site.folder + "/server.key")
    equal(site.tell("reload").split()[0], "ok")


@case
def a_client_certificate_gives_a_name_if_it_verifies(site):
    def names(certificate):
        c = site.tls(context=site.context(certificate=certificate))
        return c.get("/name?mx.b.test")[1] + c.get("/name?mx.c.test")[1]

    equal(names("puller"), b"yes\nno\n")
    for certificate in (None, "stranger", "mailonly"):
        equal(names(certificate), b"no\nno\n")


@case
def a_session_with_a_certificate_is_not_resumed(site):
    """The chain, and with it what is known of its revocation, is in no ticket."""
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = site.context(certificate="puller")
        context.minimum_version = context.maximum_version = version
        first = tls_socket(site.port, context)
        equal(Connection(first).get("/name?mx.b.test")[1], b"yes\n")
        second = tls_socket(site.port, context, session=first.session)
        equal(second.session_reused, False)
        equal(Connection(second).get("/name?mx.b.test")[1], b"yes\n")


@case
def the_peer_is_who_connects(site):
    c = site.tls()
    address, port = c.sock.getsockname()
    equal(b"tls listener=1 addr=127.0.0.1 port=%d " % port in c.get("/peer")[1], True)


# ---- PROXY protocol (these cases run against a site that requires it) ----

V2 = b"\r\n\r\n\0\r\nQUIT\n"


def v2(command, family, body):
    return V2 + bytes([command, family]) + struct.pack(">H", len(body)) + body


def proxied(site, before):
    return site.tls(before=before).get("/peer")[1].split(b" uid")[0].split(b"listener=1 ")[1]


@case
def proxy_headers_tell_the_client(proxy_site):
    site = proxy_site
    equal(proxied(site, b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n"), b"addr=192.0.2.1 port=4711")
    equal(proxied(site, b"PROXY TCP6 2001:db8::1 2001:db8::2 4711 443\r\n"), b"addr=2001:db8::1 port=4711")
    four = bytes([192, 0, 2, 7, 192, 0, 2, 8]) + struct.pack(">HH", 99, 443)
    six = bytes(15) + b"\1" + bytes(15) + b"\2" + struct.pack(">HH", 98, 443)
    equal(proxied(site, v2(0x21, 0x11, four)), b"addr=192.0.2.7 port=99")
    equal(proxied(site, v2(0x21, 0x11, four + b"\x04\0\3abc")), b"addr=192.0.2.7 port=99")
    equal(proxied(site, v2(0x21, 0x21, six)), b"addr=::1 port=98")
    for own in (b"PROXY UNKNOWN\r\n", v2(0x20, 0, b""), v2(0x20, 0x11, four)):
        equal(proxied(site, own).split()[0], b"addr=127.0.0.1")


@case
def a_proxy_header_may_come_in_pieces(proxy_site):
    raw = socket.create_connection(("127.0.0.1", proxy_site.port), timeout=15)
    for byte in b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n":
        raw.sendall(bytes([byte]))
        time.sleep(0.005)
    c = Connection(proxy_site.context().wrap_socket(raw, server_hostname="a.test"))
    equal(c.get("/hello")[0], 200)


@case
def a_missing_or_bad_proxy_header_is_closed(proxy_site):
    for bad in (b"", b"PROXY TCP4 192.0.2.1 192.0.2.2 4711\r\n", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
                b"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n", b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\n",
                b"PROXY " + b"x" * 200, v2(0x22, 0x11, bytes(12)), v2(0x21, 0x31, bytes(216)),
                v2(0x21, 0x11, bytes(4)), v2(0x21, 0x12, bytes(12)), v2(0x21, 0x11, bytes(2000))):
        refusal(lambda: tls_socket(proxy_site.port, proxy_site.context(), before=bad))


@case
def a_proxy_header_that_does_not_come_is_closed(proxy_site):
    sock = socket.create_connection(("127.0.0.1", proxy_site.port))
    sock.settimeout(10)
    sock.sendall(b"PROXY TCP4 ")
    equal(sock.recv(10), b"")


@case
def clients_behind_a_proxy_are_counted_each(proxy_site):
    def connect(address):
        return tls_socket(proxy_site.port, proxy_site.context(), b"PROXY TCP4 %s 192.0.2.2 1 443\r\n" % address)

    held = [connect(b"192.0.2.1") for _ in range(32)]
    refusal(lambda: connect(b"192.0.2.1"))
    connect(b"192.0.2.3").close()
    for sock in held:
        sock.close()


@case
def a_proxy_header_from_elsewhere_is_not_parsed(site):
    refusal(lambda: tls_socket(site.port, site.context(), before=b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n"))


# ---- curl ----


def curl(*arguments, **more):
    return subprocess.run(("curl", "-sS", "--max-time", "20") + arguments, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, **more).stdout


@case
def curl_talks_to_both_sides(site):
    local = ("--http2-prior-knowledge", "--unix-socket", site.unix)
    host = ("--cacert", site.folder + "/ca.pem", "--resolve", "a.test:%d:127.0.0.1" % site.port)
    base = "https://a.test:%d" % site.port
    for options, url in ((local, "http://localhost"), (host, base)):
        equal(curl(*options, url + "/hello"), b"hello\n")
        equal(curl(*options, "-d", "text", url + "/echo"), b"text")
        equal(len(curl(*options, url + "/file?3000000")), 3000000)
        equal(curl(*options, "-I", "-w", "%{http_code}", "-o", "/dev/null", url + "/hello"), b"200")
        big = bytes(5000000)
        equal(curl(*options, "-T", "-", "-X", "POST", url + "/count", input=big), b"5000000\n")
        # An answer before the end of the upload: it must not get lost.
        small = bytes(700000)
        equal(b"disk-full" in curl(*options, "-T", "-", "-X", "POST", url + "/take/1000", input=small), True)
        equal(curl(*options, "-T", "-", "-o", "/dev/null", "-w", "%{http_code}", url + "/refuse", input=small), b"403")
    said = curl("--http1.1", "-v", *host, base + "/hello")
    equal(b"no application protocol" in said.lower(), True)


QUICK = {"handshake_ms": 1500, "idle_ms": 1500, "head_ms": 500, "body_idle_ms": 600, "rate_min_bytes_s": 20000,
         "rate_window_ms": 700, "drain_bytes": 1000000, "drain_ms": 3000}


def run(function, program, certificates):
    """One case with a server of its own; None, or what was wrong."""
    folder = tempfile.mkdtemp(prefix="restante-abuse-")
    shutil.copytree(certificates, folder, dirs_exist_ok=True)
    options = dict(QUICK, ca=folder + "/ca.pem")
    if function.__code__.co_varnames[0] == "proxy_site":
        options["proxy"] = "127.0.0.0/8"
    site, wrong = None, []
    try:
        site = Site(program, folder, **options)
        bystander = Bystander(site)
        try:
            function(site)
            bystander.stop()
        finally:
            bystander.ended = True
    except Exception as error:  # the other cases are to run, whatever this one met
        wrong.append("%s: %s" % (type(error).__name__, error))
    try:
        if site is not None:
            site.stop()
    except Exception as error:
        wrong.append("at its end: %s" % error)
    shutil.rmtree(folder)
    return "; ".join(wrong)


def main():
    program, wanted = sys.argv[1], sys.argv[2:]
    cases = [function for function in CASES if not wanted or function.__name__ in wanted]
    failed = 0
    with tempfile.TemporaryDirectory(prefix="restante-abuse-") as certificates:
        make_certificates(certificates)
        # Most of the time is waiting for deadlines: several cases wait at once.
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            for function, wrong in zip(cases, pool.map(lambda f: run(f, program, certificates), cases)):
                print("%-6s %s %s" % ("FAILED" if wrong else "ok", function.__name__, wrong), flush=True)
                failed += bool(wrong)
    print("[  PASSED  ] %d test(s)." % (len(cases) - failed))
    if failed:
        print("[  FAILED  ] %d test(s)" % failed)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
