"""HTTP/2 to the frame: a link host of a test's own making, and a client that may misbehave.

Both use python3-h2 for what is normal; whatever is not, is written as raw frames.
"""

import contextlib
import queue
import select
import socket
import ssl
import struct
import threading
import time

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings


# --- a server

class Request:
    """What came in: .method, .path, .headers (dict, lower-case names), .body (bytes), .stream, .connection."""

    def __init__(self, connection, stream, headers):
        self.connection, self.stream = connection, stream
        self.headers = {name.decode(): value.decode(errors="replace") for name, value in headers}
        self.method, self.path = self.headers.get(":method"), self.headers.get(":path")
        self.body = b""

    def answer(self, status, headers=(), body=b"", *, end=True):
        """Sends an answer, with the fields that every one has unless headers give them otherwise (None: not at all); end=False
        leaves the stream open for send()."""
        usual = [("restante", "1"), ("cache-control", "no-store")]
        pairs = [(":status", str(status)), *(pair for pair in usual if pair[0] not in dict(headers)), *headers]
        pairs = [(name, value) for name, value in pairs if value is not None]
        self.connection.headers(self.stream, pairs, end=end and not body)
        if body:
            self.send(body, end=end)

    def send(self, data, *, end=False):
        """More of the body, as the peer's window allows. Raises ConnectionError if the peer has enough."""
        self.connection.data(self.stream, data, end)

    def reset(self, code=2):
        self.connection.reset(self.stream, code)


class _Connection(threading.Thread):
    def __init__(self, server, raw):
        super().__init__(daemon=True)
        self.server, self.raw = server, raw
        self.lock = threading.Condition()
        self.closed, self.received = False, bytearray()
        self.reset_streams = set()
        server.talks.append(self)

    def run(self):
        try:
            self.raw.settimeout(self.server.timeout)
            tls = self.server.context.wrap_socket(self.raw, server_side=True)
        except (OSError, ssl.SSLError) as e:
            self.server.events.append(("handshake failed", str(e)))
            self.raw.close()
            return
        self.tls = tls
        self.server.events.append(("connection", tls.selected_alpn_protocol()))
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding=None,
                                                                       validate_outbound_headers=False,
                                                                       normalize_outbound_headers=False))
        requests = {}
        try:
            with self.lock:
                self.h2.initiate_connection()
                self._flush()
            while True:
                self._wait_readable()
                with self.lock:
                    data = self._receive()
                    if data is None:
                        continue
                    if not data:
                        break
                    self.received += data
                    events = self.h2.receive_data(data)
                    self._flush()
                    self.lock.notify_all()
                for event in events:
                    self._handle(event, requests)
        except (OSError, ssl.SSLError, h2.exceptions.ProtocolError) as e:
            self.server.events.append(("connection error", str(e)))
        finally:
            with self.lock:
                self.closed = True
                self.lock.notify_all()
            tls.close()

    # A TLS connection bears one thread at a time: whoever reads or writes holds the lock, and nobody waits for input with it.

    def _wait_readable(self):
        with self.lock:
            if self.tls.pending():
                return
        poll = select.poll()
        poll.register(self.tls, select.POLLIN)
        if not poll.poll(self.server.timeout * 1000):
            raise TimeoutError("nothing came")

    def _receive(self):
        """What is there, b"" at the end, None if it is no whole TLS record yet. The caller holds the lock."""
        self.tls.settimeout(0)
        try:
            return self.tls.recv(65536)
        except ssl.SSLWantReadError:
            return None
        finally:
            self.tls.settimeout(self.server.timeout)

    def _handle(self, event, requests):
        if isinstance(event, h2.events.RequestReceived):
            requests[event.stream_id] = Request(self, event.stream_id, event.headers)
        elif isinstance(event, h2.events.DataReceived):
            requests[event.stream_id].body += event.data
            with self.lock:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                self._flush()
        elif isinstance(event, h2.events.StreamReset):
            with self.lock:
                self.reset_streams.add(event.stream_id)
                self.lock.notify_all()
        if isinstance(event, h2.events.StreamEnded):
            request = requests.pop(event.stream_id)
            self.server.requests.put(request)
            threading.Thread(target=self._serve, args=(request,), daemon=True).start()

    def _serve(self, request):
        try:
            self.server.handler(request)
        except (OSError, ssl.SSLError, h2.exceptions.ProtocolError) as e:
            self.server.events.append(("handler stopped", f"{request.method} {request.path}: {e}"))

    def _flush(self):
        out = self.h2.data_to_send()
        if out:
            self.tls.sendall(out)

    def headers(self, stream, pairs, end):
        with self.lock:
            self.h2.send_headers(stream, pairs, end_stream=end)
            self._flush()

    def data(self, stream, data, end):
        view = memoryview(data)
        while True:
            with self.lock:
                def room():
                    return min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
                while not self.closed and stream not in self.reset_streams and view and room() <= 0:
                    if not self.lock.wait(self.server.timeout):
                        raise ConnectionError("the peer's window stays shut")
                if self.closed or stream in self.reset_streams:
                    raise ConnectionError("the peer has ended it")
                piece = view[:room()] if view else view
                view = view[len(piece):]
                self.h2.send_data(stream, bytes(piece), end_stream=end and not view)
                self._flush()
            if not view:
                return

    def reset(self, stream, code):
        with self.lock:
            self.h2.reset_stream(stream, code)
            self._flush()

    def raw_bytes(self, data):
        with self.lock:
            self.tls.sendall(data)


class LinkHost:
    """An HTTPS server of a test at a host of the bed (x by default). A context manager.

    handler(request) runs in a thread a request and answers by request.answer(), .send(), .reset(). requests: queue of all
    that came; events: list of (what, detail) on connections. certificate: (certificate file, key file).
        with LinkHost(bed.x, bed.pki.issue("pull.evil.test", ["pull.evil.test"]), handler) as host: ...
    """

    def __init__(self, site, certificate, handler, *, port=443, address=None, alpn=("h2",), timeout=120):
        self.handler, self.timeout = handler, timeout
        self.requests, self.events, self.talks = queue.Queue(), [], []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.load_cert_chain(*certificate)
        if alpn:
            self.context.set_alpn_protocols(list(alpn))
        with site.inside():
            self.listener = socket.create_server((address or site.address, port), reuse_port=False, backlog=64)
        self.threads = []

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self):
        while True:
            try:
                raw, peer = self.listener.accept()
            except OSError:
                return
            self.events.append(("tcp", peer[0]))
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _Connection(self, raw).start()

    def connections(self):
        """How many TCP connections have come so far."""
        return sum(1 for what, _ in self.events if what == "tcp")

    def frames(self):
        """The types of all HTTP/2 frames that came, on all connections (1: HEADERS, which bears a request and its key)."""
        kinds = []
        for talk in self.talks:
            data, at = bytes(talk.received), 24  # behind the preface
            while len(data) >= at + 9:
                kinds.append(data[at + 3])
                at += 9 + int.from_bytes(data[at:at + 3], "big")
        return kinds

    def next_request(self, timeout=20):
        try:
            return self.requests.get(timeout=timeout)
        except queue.Empty:
            raise AssertionError(f"no request within {timeout} s; seen: {self.events[-5:]}") from None


# --- a client

class Answer:
    """.status, .headers (dict), .body; .error: the code of a RST_STREAM or GOAWAY that came instead of an end."""

    def __init__(self):
        self.status, self.headers, self.body, self.error, self.done = None, {}, b"", None, False


def tls_socket(site, address, name, *, port=443, alpn=("h2",), ca=None, certificate=None, source=None, timeout=20,
               maximum=None):
    """A TLS connection from a site to address:port with server name `name`; ca: the bed's root."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca or site.bed.pki.root)
    if maximum:
        context.maximum_version = maximum
    if certificate:
        context.load_cert_chain(*certificate)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    with site.inside():
        raw = socket.create_connection((address, port), timeout=timeout,
                                       source_address=(source, 0) if source else None)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        return context.wrap_socket(raw, server_hostname=name)
    except BaseException:
        raw.close()
        raise


class Client:
    """An HTTP/2 client over a connected (TLS) socket. request() does one exchange; raw() and frame() send anything.

        with Client(tls_socket(bed.b, bed.a.address, "pull.a.test"), "pull.a.test") as client:
            answer = client.request("HEAD", path, {"authorization": f"Restante {key}"})
    """

    def __init__(self, connection, authority, *, settings=None):
        self.socket, self.authority = connection, authority
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="latin-1",
                                                                       validate_outbound_headers=False,
                                                                       normalize_outbound_headers=False))
        self.h2.initiate_connection()
        if settings:
            self.h2.update_settings(settings)
        self.flush()
        self.answers = {}
        self.goaway = None
        self.over = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def flush(self):
        out = self.h2.data_to_send()
        if out:
            self.socket.sendall(out)

    def raw(self, data):
        self.socket.sendall(data)

    def frame(self, kind, flags, stream, payload=b""):
        """One raw frame: 0 DATA, 1 HEADERS, 3 RST_STREAM, 4 SETTINGS, 6 PING, 8 WINDOW_UPDATE, 9 CONTINUATION..."""
        self.raw(struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload)

    def start(self, method, path, headers=(), *, end=True):
        """Sends a request's head; returns its stream."""
        stream = self.h2.get_next_available_stream_id()
        pairs = [(":method", method), (":scheme", "https"), (":authority", self.authority), (":path", path)]
        self.h2.send_headers(stream, pairs + list(dict(headers).items()), end_stream=end)
        self.answers[stream] = Answer()
        self.flush()
        return stream

    def body(self, stream, data, *, end=True):
        for at in range(0, len(data), 16384):
            while self.h2.local_flow_control_window(stream) < len(data[at:at + 16384]):
                self.receive()
            self.h2.send_data(stream, data[at:at + 16384])
            self.flush()
        if end:
            self.h2.end_stream(stream)
            self.flush()

    def receive(self):
        """Takes in what arrives next; False at the connection's end."""
        try:
            data = self.socket.recv(65536)
        except (ConnectionError, ssl.SSLError):
            data = b""
        if not data:
            self.over = True
            return False
        try:
            events = self.h2.receive_data(data)
        except h2.exceptions.ProtocolError:
            self.over = True
            return False
        for event in events:
            answer = self.answers.get(getattr(event, "stream_id", None))
            if isinstance(event, h2.events.ConnectionTerminated):
                self.goaway = event.error_code
            elif answer is None:
                continue
            elif isinstance(event, h2.events.ResponseReceived):
                answer.headers = dict(event.headers)
                answer.status = int(answer.headers.pop(":status"))
            elif isinstance(event, h2.events.DataReceived):
                answer.body += event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamReset):
                answer.error, answer.done = event.error_code, True
            elif isinstance(event, h2.events.StreamEnded):
                answer.done = True
        self.flush()
        return True

    def finish(self, stream, timeout=20):
        """Waits for the end of an answer."""
        answer, end = self.answers[stream], time.monotonic() + timeout
        while not answer.done and not self.over:
            self.socket.settimeout(max(end - time.monotonic(), 0.01))
            self.receive()
        if not answer.done and answer.error is None:
            answer.error = f"connection closed, GOAWAY {self.goaway}"
        return answer

    def request(self, method, path, headers=(), body=None, timeout=20):
        stream = self.start(method, path, headers, end=body is None)
        if body is not None:
            self.body(stream, body)
        return self.finish(stream, timeout)
