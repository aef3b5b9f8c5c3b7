"""HTTP/2 and TLS abuse of a's fetchd: each abuser's connection is ended with the right error, and a good client beside all of
them is served as before."""

import contextlib
import os
import socket
import ssl
import struct
import threading
import time

from harness import Failure, check, equal, letter, wait_for
from http2 import Client, tls_socket
from puller import end, waiting
from restante import configured, fetchd_log

NEEDS = ("restante",)
TIMEOUT = 90
PROTOCOL_ERROR, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, ENHANCE_YOUR_CALM = 1, 3, 6, 11


@contextlib.contextmanager
def good_client(offer):
    """Somebody who asks politely on one connection all the while; fails unless all his answers are right and quick."""
    stop, seen = threading.Event(), []

    def ask():
        try:
            with offer.client() as client:
                while not stop.wait(0.05):
                    began = time.monotonic()
                    status = offer.head(client).status
                    seen.append((status, time.monotonic() - began))
        except Exception as e:  # a thread's exception would go unseen
            seen.append((f"{type(e).__name__}: {e}", 0))
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield
        wait_for("the good client's answers", lambda: len(seen) >= 5 or not thread.is_alive(), 10, 0.05)
    finally:
        stop.set()
        thread.join(20)
    equal({status for status, _ in seen}, {204}, "answers to the good client")
    slowest = max(took for _, took in seen)
    print(f"the good client asked {len(seen)} times, the slowest answer took {slowest:.2f} s")
    check(slowest < 5, f"the good client waited {slowest:.1f} s for an answer")


def frames(octets):
    """The whole frames in there: (kind, payload)."""
    while len(octets) >= 9 and len(octets) >= 9 + (length := int.from_bytes(octets[:3], "big")):
        yield octets[3], octets[9:9 + length]
        octets = octets[9 + length:]


def until_closed(client, timeout):
    """Reads until the server has closed. Returns the frames that came; .goaway of the client is the error of a GOAWAY."""
    got, stop = b"", time.monotonic() + timeout
    while True:
        client.socket.settimeout(max(stop - time.monotonic(), 0.01))
        try:
            piece = client.socket.recv(65536)
        except TimeoutError:
            raise Failure(f"the connection is still open after {timeout} s") from None
        except OSError:
            piece = b""
        if not piece:
            break
        got += piece
    found = list(frames(got))
    for kind, payload in found:
        if kind == 7:
            client.goaway = int.from_bytes(payload[4:8], "big")
    return found


def encoded(client, pairs):
    return client.h2.encoder.encode(pairs)


def request_block(client, offer, method="HEAD", path=None, more=()):
    return encoded(client, [(":method", method), (":scheme", "https"), (":authority", "pull.a.test"),
                            (":path", path or offer.path), ("authorization", f"Restante {offer.key}"), *more])


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def resets(client, offer):
    for stream in range(1, 2001, 2):
        client.raw(frame(1, 5, stream, request_block(client, offer)) + frame(3, 0, stream, struct.pack(">I", 8)))


def pings(client, offer):
    client.raw(frame(6, 0, 0, b"12345678") * 1000)


def settings(client, offer):
    client.raw(frame(4, 0, 0, struct.pack(">HI", 3, 100)) * 1000)


def empty_data(client, offer):
    client.raw(frame(1, 4, 1, request_block(client, offer, "POST", offer.path + "/ack")) + frame(0, 0, 1) * 1000)


def window_updates(client, offer):
    client.raw(frame(8, 0, 0, struct.pack(">I", 2**31 - 1)) * 2)


def continuations(client, offer):
    client.raw(frame(1, 0, 1, request_block(client, offer)) + frame(9, 0, 1, b"") * 1000)


def large_continuations(client, offer):
    client.raw(frame(1, 0, 1, request_block(client, offer)))
    block = encoded(client, [(f"x-{n}", "y" * 50) for n in range(200)])
    for _ in range(300):
        client.raw(frame(9, 0, 1, block[:16000]))


def header_list(client, offer):
    """100 KB in one head, within the frame size."""
    block = request_block(client, offer, more=[(f"x-long-{n}", os.urandom(40).hex()) for n in range(1000)])
    pieces = [block[at:at + 16000] for at in range(0, len(block), 16000)]
    client.raw(frame(1, 1, 1, pieces[0]) + b"".join(frame(9, 4 if piece is pieces[-1] else 0, 1, piece) for piece in pieces[1:]))


def header_bomb(client, offer):
    """A few octets that stand for many: one long field repeated by its index."""
    client.raw(frame(1, 5, 1, request_block(client, offer, more=[("x-bomb", "z" * 3900)]) + b"\xbe" * 10_000))


def bad_hpack(client, offer):
    client.raw(frame(1, 5, 1, b"\xff\xff\xff\xff\xff\xff\xff\xff"))


def frame_too_large(client, offer):
    client.raw(frame(0, 0, 1, b"x" * 70_000))


def data_on_no_stream(client, offer):
    client.raw(frame(0, 0, 0, b"x"))


def another_protocol(client, offer):
    client.raw(b"GET / HTTP/1.1\r\nHost: pull.a.test\r\n\r\n")


def silence(client, offer):
    """A head that never ends."""
    client.raw(frame(1, 0, 1, request_block(client, offer)))


def silent_body(client, offer):
    """A body that never comes."""
    client.raw(frame(1, 4, 1, request_block(client, offer, "POST", offer.path + "/ack")))


# what -> GOAWAY's error
QUICK = {resets: ENHANCE_YOUR_CALM, pings: ENHANCE_YOUR_CALM, settings: ENHANCE_YOUR_CALM, empty_data: ENHANCE_YOUR_CALM,
         window_updates: FLOW_CONTROL_ERROR, continuations: ENHANCE_YOUR_CALM,
         large_continuations: ENHANCE_YOUR_CALM, bad_hpack: 9,
         frame_too_large: FRAME_SIZE_ERROR, data_on_no_stream: PROTOCOL_ERROR, another_protocol: FRAME_SIZE_ERROR}


def test_abuse_is_ended(bed):
    """A thousand resets, pings, settings, empty DATA; endless CONTINUATION; broken frames: closed within 5 s, with GOAWAY where
    it says something."""
    with waiting(bed, letter()) as offer, good_client(offer):
        for what, code in QUICK.items():
            with offer.client(bed.x) as client:
                with contextlib.suppress(OSError):
                    what(client, offer)
                try:
                    until_closed(client, 5)
                except Failure as e:
                    raise Failure(f"{what.__name__}: {e}") from e
                print(f"{what.__name__}: closed, GOAWAY {client.goaway}")
                equal(client.goaway, code, f"GOAWAY after {what.__name__}")
        equal(offer.state(), "waiting", "state")


def test_large_heads(bed):
    """A header list of 100 KB, and one that expands to 39 MB: the connection is closed, and the request did nothing."""
    with waiting(bed, letter()) as offer, good_client(offer):
        for what in (header_list, header_bomb):
            with offer.client() as client:
                with contextlib.suppress(OSError):
                    what(client, offer)
                found = until_closed(client, 5)
                print(f"{what.__name__}: frames {[kind for kind, _ in found]}, GOAWAY {client.goaway}")
                check(1 not in [kind for kind, _ in found], f"{what.__name__}: it was answered")
                equal(client.goaway, ENHANCE_YOUR_CALM, f"GOAWAY after {what.__name__}")


def test_slow_clients(bed):
    """At once: no TLS handshake, no SETTINGS, a head and a body that never end, 20 MB read at ten octets a second and not at all:
    all closed within their limits; the good client does not notice."""
    body = (os.urandom(38).hex().encode() + b"\r\n") * 250_000
    results, log = {}, fetchd_log(bed.a)

    def run(name, function, limit):
        try:
            began = time.monotonic()
            function()
            results[name] = time.monotonic() - began
            if results[name] > limit:
                results[name] = f"closed only after {results[name]:.0f} s"
        except Exception as e:
            results[name] = f"{type(e).__name__}: {e}"

    with waiting(bed, letter(body=body), letter(body=body), letter()) as offers, good_client(offers[-1]):
        def no_handshake():
            with bed.x.inside():
                raw = socket.create_connection((bed.a.address, 443), timeout=40)
            equal(raw.recv(100), b"", "octets")

        def no_settings():
            connection = tls_socket(bed.x, bed.a.address, "pull.a.test", timeout=40)
            with contextlib.suppress(OSError):
                while connection.recv(1000):
                    pass

        def stuck(how):
            def run_it():
                with offers[-1].client() as client:
                    how(client, offers[-1])
                    until_closed(client, 40)
            return run_it

        def claim(offer, window=1, **settings):
            client = offer.client()
            client.h2.update_settings(settings["settings"])
            client.h2.increment_flow_control_window(window)
            client.flush()
            return client, client.start("POST", offer.path + "/claim", {
                "restante-lease": offer.lease, "restante-sender": offer.sender, "restante-recipient": offer.recipient,
                "restante-from": offer.sender, "authorization": f"Restante {offer.key}"})

        def by_window():
            client, stream = claim(offers[0], settings={4: 10})
            client.socket.settimeout(0.01)
            stop = time.monotonic() + 40
            while time.monotonic() < stop:
                time.sleep(1)
                try:
                    while True:
                        if not client.socket.recv(65536):
                            return
                except TimeoutError:
                    pass
                except OSError:
                    return
                with contextlib.suppress(OSError):
                    client.raw(frame(8, 0, stream, struct.pack(">I", 10)))
            raise Failure("never closed")

        def by_tcp():
            # All windows open, and nothing is read: what the kernels buffer is all that goes out. That the server has closed
            # cannot be seen here behind so much unread, but in its log.
            client, _ = claim(offers[1], settings={4: 2**30}, window=2**30)
            log.wait("it does not take what we send", timeout=60)
            client.socket.close()
        todo = {"no handshake": (no_handshake, 15), "no SETTINGS": (no_settings, 15), "endless head": (stuck(silence), 20),
                "endless body": (stuck(silent_body), 20), "ten octets a second": (by_window, 40), "nothing read": (by_tcp, 60)}
        threads = [threading.Thread(target=run, args=(name, *what), daemon=True) for name, what in todo.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(75)
        for name in todo:
            print(f"{name}: {results.get(name)}")
        check(all(isinstance(results.get(name), float) for name in todo), f"{ {n: results.get(n) for n in todo} }")


def test_no_http2(bed):
    """ALPN without h2 is refused in the handshake; no ALPN at all is closed without an answer; other names by SNI are served
    nothing else."""
    try:
        tls_socket(bed.x, bed.a.address, "pull.a.test", alpn=("http/1.1",)).close()
        raise Failure("the handshake went through")
    except ssl.SSLError as e:
        check("ALERT_NO_APPLICATION_PROTOCOL" in str(e).upper().replace(" ", "_"), f"refused for another reason: {e}")
    try:
        with tls_socket(bed.x, bed.a.address, "pull.a.test", alpn=None) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: pull.a.test\r\n\r\n")
            equal(connection.recv(1000), b"", "octets")
    except (ssl.SSLError, ConnectionError):
        pass
    with Client(tls_socket(bed.x, bed.a.address, "pull.a.test", alpn=("http/1.1", "h2")), "pull.a.test") as client:
        equal(client.request("GET", "/").status, 404, "answer to a client that speaks both")


def test_connections_of_an_address(bed):
    """More than https_connections_address_max of one address: closed at once; others are served; when some leave, there is
    room again."""
    with configured(bed.a, https_connections_address_max="5"), waiting(bed, letter()) as offer, good_client(offer):
        clients = [offer.client(bed.x) for _ in range(5)]
        for _ in range(3):
            try:
                with offer.client(bed.x) as client:
                    until_closed(client, 2)
            except (OSError, ssl.SSLError):
                pass
        for client in clients:
            equal(client.request("GET", "/").status, 404, "answer to the first five")
        clients.pop().socket.close()
        time.sleep(0.3)
        with offer.client(bed.x) as client:
            equal(client.request("GET", "/").status, 404, "answer when one has left")
        for client in clients:
            client.socket.close()


def test_many_streams(bed):
    """A hundred requests at once on one connection: all answered or refused, none lost."""
    with waiting(bed, letter()) as offer, offer.client() as client:
        client.receive()
        streams = []
        while len(streams) < 100:
            while client.h2.open_outbound_streams < min(client.h2.remote_settings.max_concurrent_streams, 32) and len(streams) < 100:
                streams.append(client.start("HEAD", offer.path, {"authorization": f"Restante {offer.key}"}))
            client.socket.settimeout(10)
            client.receive()
        equal({client.finish(stream).status for stream in streams}, {204}, "answers")
        end(offer.claim(client), 200)
