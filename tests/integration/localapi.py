"""The local API's server side for cases about the milter alone: real HTTP/2 over a real socket, answers by the case.

It decides nothing: `plan`, `deposit`, `keep` and `notice` are functions of the request that return (status, JSON). What arrived
is kept in `plans`, `deposits`, `keeps`, `notices` (whole requests) and `broken` (uploads that ended without their end).
"""

import collections
import json
import os
import socket
import threading

import h2.config
import h2.connection
import h2.events
import h2.exceptions

UPLOADS = ("/1/deposit", "/1/keep")
Deposit = collections.namedtuple("Deposit", "head letter")


def error(name, smtp, enhanced, text, status):
    return status, {"error": name, "smtp": smtp, "enhanced": enhanced, "text": text}


def verdicts(*words, kind="letter"):
    return 200, {"kind": kind, "verdicts": list(words), "want_body": "stub" in words or "keep" in words}


NONE = (200, {"kind": "none", "verdicts": [], "want_body": False})
STUB = (200, {"kind": "stub", "verdicts": [], "want_body": False})


def refusal(smtp, enhanced, text):
    return 200, {"kind": "letter", "verdicts": [], "want_body": False,
                 "refuse": {"smtp": smtp, "enhanced": enhanced, "text": text}}


def all_stubs(plan):
    return verdicts(*["stub"] * len(plan["envelope"]["recipients"]))


def durable(head, _letter):
    """201 with a ticket for each recipient."""
    count = len(head["envelope"]["recipients"])
    return 201, {"tickets": [os.urandom(16).hex() for _ in range(count)]}


class Fetchd:
    def __init__(self, path):
        self.path = path
        self.plan, self.deposit, self.notice = all_stubs, durable, lambda _: (200, {"smtp": 250, "enhanced": "2.0.0",
                                                                                     "text": "kept"})
        self.keep = lambda _head, _letter: (201, {"smtp": 250, "enhanced": "2.0.0", "text": "kept"})
        self.plans, self.deposits, self.keeps, self.notices, self.broken = [], [], [], [], []
        self.connections = 0
        self.keep_letters = True
        self.lock = threading.Lock()
        self.listener = None
        self.open()

    def open(self):
        self.listener = socket.socket(socket.AF_UNIX)
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.listener.bind(self.path)
        self.listener.listen(1024)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def close(self):
        """Nobody listens any more. Connections that are there live on."""
        listener, self.listener = self.listener, None
        if listener:
            os.unlink(self.path)
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def _accept(self, listener):
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            with self.lock:
                self.connections += 1
            threading.Thread(target=_Connection(self, peer).run, daemon=True).start()

    def answer(self, method, path, body):
        """(status, JSON) for a whole request; None: the connection is dropped without an answer."""
        if method != "POST":
            return error("not-found", 550, "5.1.1", "not found", 404)
        if path in UPLOADS:
            head, _, letter = body.partition(b"\n")
            head = json.loads(head)
            with self.lock:
                (self.deposits if path == "/1/deposit" else self.keeps).append(
                    Deposit(head, letter if self.keep_letters else len(letter)))
            return (self.deposit if path == "/1/deposit" else self.keep)(head, letter)
        request = json.loads(body)
        if path == "/1/plan":
            with self.lock:
                self.plans.append(request)
            return self.plan(request)
        if path == "/1/notice":
            with self.lock:
                self.notices.append(request)
            return self.notice(request)
        return error("not-found", 550, "5.1.1", "not found", 404)


class _Connection:
    def __init__(self, fetchd, peer):
        self.fetchd, self.peer = fetchd, peer
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.streams = {}

    def run(self):
        try:
            self.h2.initiate_connection()
            self.flush()
            while True:
                data = self.peer.recv(65536)
                if not data:
                    break
                for event in self.h2.receive_data(data):
                    if not self.handle(event):
                        return
                self.flush()
        except (OSError, h2.exceptions.ProtocolError):
            pass
        finally:
            self.peer.close()
            with self.fetchd.lock:
                self.fetchd.broken += [bytes(body) for _, path, body in self.streams.values() if path in UPLOADS]

    def flush(self):
        self.peer.sendall(self.h2.data_to_send())

    def handle(self, event):
        if isinstance(event, h2.events.RequestReceived):
            fields = dict(event.headers)
            self.streams[event.stream_id] = (fields[":method"], fields[":path"], bytearray())
        elif isinstance(event, h2.events.DataReceived):
            if event.stream_id in self.streams:
                self.streams[event.stream_id][2].extend(event.data)
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            method_path_body = self.streams.pop(event.stream_id, None)
            if method_path_body and method_path_body[1] in UPLOADS:
                with self.fetchd.lock:
                    self.fetchd.broken.append(bytes(method_path_body[2]))
        elif isinstance(event, h2.events.StreamEnded):
            self.flush()
            method, path, body = self.streams.pop(event.stream_id)
            said = self.fetchd.answer(method, path, bytes(body))
            if said is None:
                return False
            status, document = said
            payload = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.h2.send_headers(event.stream_id, [(":status", str(status)), ("content-type", "application/json")])
            for at in range(0, len(payload), 16384):  # a frame each; all fits the first window
                self.h2.send_data(event.stream_id, payload[at:at + 16384])
            self.h2.end_stream(event.stream_id)
        elif isinstance(event, h2.events.ConnectionTerminated):
            return False
        return True
