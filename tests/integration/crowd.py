"""Attackers at x: many addresses, and a name server that takes its time."""

import contextlib
import socket
import struct
import threading
import time

from bedlib import netns

CROWD = "198.18.0.0"  # to 198.19.255.255
SLOW_S = 4.9


def crowd(bed):
    """x has the addresses 198.18.0.0/15, and b knows the way."""
    netns.execute(bed.namespace("x"), ["ip", "route", "replace", "local", "198.18.0.0/15", "dev", "lo"])
    netns.execute(bed.namespace("b"), ["ip", "route", "replace", "198.18.0.0/15", "via", bed.x.address])


class SlowDns:
    """A name server at x that answers every question after 4.9 s: github.io, below which every name is an organisation of
    its own by the public suffix list, is delegated to it."""

    def __init__(self, bed):
        self.bed = bed

    def __enter__(self):
        self.bed.dns.zone("io", ["github NS ns.github", f"ns.github A {self.bed.x.address}"])
        with self.bed.x.inside():
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(0.2)
        self.socket.bind(("0.0.0.0", 53))
        self.late, self.ended = [], False
        for run in (self._hear, self._answer):
            threading.Thread(target=run, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.ended = True
        self.socket.close()
        self.bed.dns.remove("io")

    def _hear(self):
        while not self.ended:
            with contextlib.suppress(OSError):
                query, peer = self.socket.recvfrom(1500)
                self.late.append((time.monotonic() + SLOW_S, query, peer))

    def _answer(self):
        while not self.ended:
            while self.late and self.late[0][0] <= time.monotonic():
                _, query, peer = self.late.pop(0)
                end = query.index(b"\0", 12) + 5
                kind = struct.unpack(">H", query[end - 4:end - 2])[0]
                data = {1: socket.inet_aton(CROWD), 15: b"\0\x0a\xc0\x0c", 16: b"\x0bv=spf1 -all"}.get(kind)
                answer = b"" if data is None else b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 300, len(data)) + data
                with contextlib.suppress(OSError):
                    self.socket.sendto(query[:2] + b"\x84\0\0\x01" + struct.pack(">HHH", bool(answer), 0, 0) + query[12:end]
                                       + answer, peer)
            time.sleep(0.01)
