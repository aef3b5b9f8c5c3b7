#!/usr/bin/python3
"""generate.py [--check FILE]: the protocol's vectors as JSON, or whether FILE holds exactly these.

An implementation of docs/PROTOCOL.md of its own, straight from the document and python3-cryptography: it shares no line with
the C code, so that the vectors are not the C code's own opinion. Everything is deterministic. Run it after a change of the
protocol: `tests/vectors/generate.py >docs/vectors.json`.
"""

import base64
import hashlib
import hmac
import json
import sys

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

CHUNK = 65536


def b64(octets):
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def sha256(octets):
    return hashlib.sha256(octets).digest()


def hkdf(key, salt, info):
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(key)


def gcm(key, nonce, plain, aad=None):
    return AESGCM(key).encrypt(nonce, plain, aad)


def fixed(name, length):
    """Octets that look random and are always the same."""
    return hashlib.shake_256(b"restante vector: " + name.encode()).digest(length)


# ---- site keys, tickets

SITE_KEYS = {1: fixed("site key 1", 32), 258: fixed("site key 258", 32), 65535: bytes(range(32))}


def derive(epoch, label, data):
    return hmac.new(SITE_KEYS[epoch], b"restante/1/" + label.encode() + b"\0" + data, hashlib.sha256).digest()


def ticket(a):
    epoch = int.from_bytes(a[:2], "big")
    return {"b": derive(epoch, "b", a)[:16], "ka": derive(epoch, "ka", a), "kd": derive(epoch, "kd", a),
            "tag": a.hex() + derive(epoch, "tag", a)[:8].hex()}


def url(host, port, a, b):
    return f"https://{host}{'' if port == 443 else f':{port}'}/restante/1/{b64(a)}/{b64(b)}"


def site_keys():
    return [{"epoch": epoch, "key": key.hex(), "fingerprint": derive(epoch, "fingerprint", b"")[:8].hex()}
            for epoch, key in SITE_KEYS.items()]


IDENTIFIERS = [epoch.to_bytes(2, "big") + rest for epoch, rest in (
    (1, bytes(14)), (1, b"\xff" * 14), (258, bytes(range(14))), (258, fixed("ticket", 14)), (65535, fixed("other ticket", 14)))]


def tickets():
    hosts = [("pull.a.example", 443), ("a.example", 8443), ("xn--bcher-kva.example", 1), ("x-1.2.y.example", 65535), ("a.b", 443)]
    result = []
    for a, (host, port) in zip(IDENTIFIERS, hosts):
        t = ticket(a)
        result.append({"a": a.hex(), "b": t["b"].hex(), "ka": t["ka"].hex(), "kd": t["kd"].hex(), "tag": t["tag"],
                       "store_key": sha256(a + t["b"]).hex(), "ka_hash": sha256(t["ka"]).hex(), "host": host, "port": port,
                       "url": url(host, port, a, t["b"])})
    return result


def bad_tags():
    good = ticket(IDENTIFIERS[2])["tag"]
    return [
        {"name": "another MAC", "tag": good[:-1] + ("0" if good[-1] != "0" else "1"), "error": "not-found"},
        {"name": "another identifier", "tag": good[:4] + "ff" + good[6:], "error": "not-found"},
        {"name": "unknown epoch", "tag": "0003" + good[4:], "error": "not-found"},
        {"name": "too short", "tag": good[:-2], "error": "syntax"},
        {"name": "too long", "tag": good + "00", "error": "syntax"},
        {"name": "no digit", "tag": "g" + good[1:], "error": "syntax"},
    ]


def bad_urls():
    a, t = IDENTIFIERS[2], ticket(IDENTIFIERS[2])
    good = url("pull.a.example", 443, a, t["b"])
    path = good[len("https://pull.a.example"):]
    bad = {
        "another scheme": good.replace("https", "http"), "scheme in upper case": good.replace("https", "HTTPS"),
        "host in upper case": good.replace("pull", "Pull"), "default port": f"https://pull.a.example:443{path}",
        "port with leading zero": f"https://pull.a.example:08443{path}", "port 0": f"https://pull.a.example:0{path}",
        "port 65536": f"https://pull.a.example:65536{path}", "empty port": f"https://pull.a.example:{path}",
        "user": f"https://u@pull.a.example{path}", "query": good + "?", "fragment": good + "#x", "verb": good + "/claim",
        "final dot": f"https://pull.a.example.{path}", "one label": f"https://localhost{path}",
        "IPv4 address": f"https://127.0.0.1{path}", "IPv4 in one number": f"https://2130706433{path}",
        "IPv4 in hexadecimal": f"https://0x7f.1{path}", "IPv4 in octal": f"https://0177.0.0.1{path}",
        "IPv6 address": f"https://[::1]{path}", "percent escape in the host": f"https://pull%2ea.example{path}",
        "percent escape in the path": good.replace("restante", "%72estante"), "two slashes": good.replace(".example/", ".example//"),
        "another version": good.replace("/1/", "/2/"), "padded identifier": good.replace("/1/" + b64(a), "/1/" + b64(a) + "=="),
        "trailing bits": good[:-1] + chr(ord(good[-1]) + 1), "short proof": good[:-1], "U-label": f"https://bücher.example{path}",
    }
    return [{"name": name, "url": text, "error": "syntax"} for name, text in bad.items()]


# ---- text in HTTP fields

PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~@+=")


def field_text(text):
    return "".join(chr(c) if c in PLAIN else f"%{c:02X}" for c in text.encode())


def field_texts():
    texts = ["", "alice@a.example", "a+b=c~d-e_f@x.example", "jürgen@bücher.example", "550 5.1.1 <bob@b.example>: no such user",
             "100 %", "\"a b\"@a.example", "emoji 😀"]
    return [{"text": text, "field": field_text(text)} for text in texts]


def bad_field_texts():
    return [
        {"name": "lower-case digits", "field": "%c3%bc", "error": "syntax"}, {"name": "needless escape", "field": "%41", "error": "syntax"},
        {"name": "blank", "field": "a b", "error": "syntax"}, {"name": "cut escape", "field": "a%4", "error": "syntax"},
        {"name": "raw UTF-8", "field": "ü", "error": "syntax"}, {"name": "plus does not mean blank, slash is escaped", "field": "a/b", "error": "syntax"},
        {"name": "NUL", "field": "%00", "error": "bad-bytes"}, {"name": "CR LF", "field": "%0D%0A", "error": "bad-bytes"},
        {"name": "half a character", "field": "%C3", "error": "bad-bytes"}, {"name": "over-long", "field": "%C0%80", "error": "bad-bytes"},
        {"name": "surrogate", "field": "%ED%A0%80", "error": "bad-bytes"},
    ]


# ---- records sealed under a site key

def records():
    result = []
    for epoch, label, aad, plain in ((1, "job", b"", b""), (258, "dek", fixed("place", 32), fixed("dek", 32)),
                                     (65535, "job", b"k", b"x" * 1000)):
        nonce = fixed(f"record {epoch}", 16)
        sealed = epoch.to_bytes(2, "big") + nonce + gcm(derive(epoch, "seal/" + label, nonce), bytes(12), plain, aad)
        result.append({"label": label, "aad": aad.hex(), "plain": plain.hex(), "sealed": sealed.hex()})
    return result


def bad_records():
    good = records()[1]
    sealed = bytes.fromhex(good["sealed"])

    def bad(name, error, **changed):
        return {"name": name, "label": good["label"], "aad": good["aad"], "sealed": good["sealed"], "error": error} | changed
    return [
        bad("another place", "seal-tag", aad=""), bad("another label", "seal-tag", label="job"),
        bad("unknown epoch", "not-found", sealed=(b"\0\2" + sealed[2:]).hex()),
        bad("another epoch", "seal-tag", sealed=(b"\0\1" + sealed[2:]).hex()),
        bad("another nonce", "seal-tag", sealed=(sealed[:2] + bytes([sealed[2] ^ 1]) + sealed[3:]).hex()),
        bad("cut", "seal-tag", sealed=sealed[:-1].hex()), bad("too short", "seal-format", sealed=sealed[:33].hex()),
    ]


# ---- stubs

def quoted(text):
    return "".join(chr(c) if 0x21 <= c <= 0x7e and c not in b";=" else f"={c:02X}" for c in text.encode())


def stub_field(s):
    """The field as this project writes it: tags in this order, folded greedily below 78 columns."""
    words = ["v=1;", f"u={s['url']};", f"a={b64(bytes.fromhex(s['ka']))};", f"d={b64(bytes.fromhex(s['kd']))};",
             f"f={quoted(s['from'])};", f"t={quoted(s['to'])};", f"s={s['size']};", f"x={s['expires']}"]
    words[6:8] = [words[6] + " " + words[7]]
    lines = ["Restante-Stub:"]
    for word in words:
        if len(lines[-1]) + 1 + len(word) <= 77:
            lines[-1] += " " + word
        elif word[0] in "ft" and len(word) >= 77:
            lines.append(" ")
            at = 0
            while at < len(word):
                piece = word[at:at + 3] if at > 1 and word[at] == "=" else word[at]
                if len(lines[-1]) + len(piece) > 77:
                    lines.append(" ")
                lines[-1] += piece
                at += len(piece)
        else:
            lines.append(" " + word)
    return "\r\n".join(lines) + "\r\n"


def stubs():
    result = []
    addresses = [("alice@a.example", "bob@b.example"), ("jürgen@a.example", "\"a; b=c\"@b.example"), ("a=b+c@a.example", "ü" * 100 + "@b.example"),
                 ("x" * 200 + "@a.example", "bob@xn--bcher-kva.example"), ("a@b", "c@d")]
    for a, (sender, recipient), size, expires in zip(IDENTIFIERS, addresses, (81234, 0, 2**50, 1, 10), (1797811200, 0, 253402300799, 1, 2)):
        t = ticket(a)
        s = {"url": url("pull.a.example", 443, a, t["b"]), "ka": t["ka"].hex(), "kd": t["kd"].hex(), "from": sender, "to": recipient,
             "size": size, "expires": expires}
        result.append(s | {"field": stub_field(s)})
    return result


def stub_spellings():
    """Other spellings that are read as the first stub."""
    v, u, a, d, f, t, s, x = [tag.strip() for tag in stubs()[0]["field"][len("Restante-Stub:"):].split(";")]
    return ["; ".join((v, u, a, d, f, t, s, x)), ";".join((v, x, s, t, f, d, a, u)) + ";", f"\r\n {v} ;{u};\r\n\t{a};{d};{f};{t};{s};{x}\t",
            " v = 1;" + ";".join((u, a, d, "f=al=69c\r\n e@a.exa\tmple", t, s, x))]


def bad_stubs():
    v, u, a, d, f, t, s, x = tags = [tag.strip() for tag in stubs()[0]["field"][len("Restante-Stub:"):].split(";")]

    def having(position, text):
        return "; ".join(tags[:position] + [text] + tags[position + 1:])
    bad = {"another version": having(0, "v=2"), "v not first": "; ".join((u, v, a, d, f, t, s, x)),
           "u twice": "; ".join((*tags, u)), "unknown tag": "; ".join((*tags, "y=1")), "empty tag": "; ".join((v, "", u, a, d, f, t, s, x)),
           "http": having(1, u.replace("https", "http")), "padded key": having(2, a + "="), "trailing bits in a key": having(2, a[:-1] + chr(ord(a[-1]) + 1)),
           "short key": having(3, d[:-1]), "blank in a key": having(3, d[:9] + " " + d[9:]), "null sender": having(4, "f="),
           "sender in brackets": having(4, "f=<alice@a.example>"), "address literal": having(5, "t=bob@[192.0.2.1]"), "no domain": having(5, "t=bob"),
           "lower-case digits": having(4, "f=j=c3=bc@a.example"), "escaped NUL": having(4, "f=a=00@a.example"), "raw UTF-8": having(4, "f=jü@a.example"),
           "leading zero": having(6, "s=01"), "size over 2^50": having(6, "s=1125899906842625"), "negative size": having(6, "s=-1"),
           "expiry after the year 9999": having(7, "x=253402300800"), "longer than 4096 octets": "; ".join(tags) + " " * 4096}
    bad |= {f"no {tag[0]}": "; ".join(other for other in tags if other != tag) for tag in tags}
    result = [{"name": name, "value": value, "error": "stub-syntax"} for name, value in bad.items()]
    bad = {"bare LF": "\n " + "; ".join(tags), "bare CR": "\r " + "; ".join(tags), "NUL": "; ".join(tags) + "\0", "line end at the end": "; ".join(tags) + "\r\n",
           "line end without a blank": having(1, "\r\n" + u), "DEL": having(7, x + "\x7f")}
    return result + [{"name": name, "value": value, "error": "bad-bytes"} for name, value in bad.items()]


# ---- wraps and payloads

def wrap(kd, a, payload_id, version, dek):
    return gcm(hkdf(kd, a, b"restante/1/wrap" + payload_id + version.to_bytes(4, "big")), bytes(12), dek)


def wraps():
    result = []
    for a, version in zip(IDENTIFIERS, (1, 2, 3, 2**32 - 1, 1)):
        kd, payload_id, dek = ticket(a)["kd"], fixed("payload id", 16), fixed(f"dek {version}", 32)
        result.append({"kd": kd.hex(), "a": a.hex(), "payload_id": payload_id.hex(), "payload_version": version, "dek": dek.hex(),
                       "wrap": wrap(kd, a, payload_id, version, dek).hex()})
    return result


def bad_wraps():
    good = wraps()[0]

    def flip(text, at):
        octets = bytearray.fromhex(text)
        octets[at] ^= 1
        return octets.hex()
    changes = {"another Kd": {"kd": flip(good["kd"], 31)}, "another A": {"a": flip(good["a"], 0)},
               "another payload": {"payload_id": flip(good["payload_id"], 7)}, "another version": {"payload_version": 2},
               "changed key": {"wrap": flip(good["wrap"], 0)}, "changed tag": {"wrap": flip(good["wrap"], 47)}}
    return [{"name": name} | {key: value for key, value in good.items() if key != "dek"} | change | {"error": "seal-wrap"}
            for name, change in changes.items()]


def letter(length):
    """Octet i of every letter here is (31 * i + i // 251) mod 256."""
    return bytes((31 * i + i // 251) & 255 for i in range(length))


def seal(version, dek, payload_id, salt, text):
    head = b"RESTANTE" + bytes([1, 1, 0, 0]) + version.to_bytes(4, "big")
    length = len(text).to_bytes(8, "big")
    key = hkdf(dek, salt, b"restante/1/payload" + head + payload_id)
    commitment = hkdf(dek, salt, b"restante/1/commitment" + head + length + payload_id + salt)
    chunks = [text[at:at + CHUNK] for at in range(0, len(text), CHUNK)] or [b""]
    sealed = b"".join(gcm(key, counter.to_bytes(11, "big") + bytes([counter == len(chunks) - 1]), chunk)
                      for counter, chunk in enumerate(chunks))
    return head + length + payload_id + salt + commitment + sealed


def secrets(name):
    return fixed(name + " dek", 32), fixed(name + " id", 16), fixed(name + " salt", 24)


def payloads():
    result = []
    for version, length in ((1, 0), (1, 1), (2, 15), (3, 16), (2**32 - 1, 17), (1, 1000), (1, 65535), (1, 65536), (1, 65537), (1, 131071),
                            (1, 131072), (1, 131073), (7, 200000)):
        dek, payload_id, salt = secrets(f"payload {length}")
        text = letter(length)
        sealed = seal(version, dek, payload_id, salt, text)
        result.append({"payload_version": version, "dek": dek.hex(), "payload_id": payload_id.hex(), "salt": salt.hex(), "letter_bytes": length,
                       "letter_sha256": sha256(text).hex(), "sealed_bytes": len(sealed), "sealed_sha256": sha256(sealed).hex(),
                       "header": sealed[:96].hex()} | ({"sealed": sealed.hex()} if length <= 17 else {}))
    return result


def bad_payloads():
    """Edits of the sealed payload of a letter of `of` octets above: [at, xor], or cut to, or append, or swap two ranges."""
    def bad(name, of, error, *edits, announced=None, released=0):
        return {"name": name, "of": of, "edits": [dict(edit) for edit in edits], "announced": announced, "released": released, "error": error}

    def xor(at, octet=1):
        return {"xor": octet, "at": at}
    size = 96 + 131073 + 3 * 16
    return [
        bad("magic", 16, "seal-format", xor(0)), bad("end of the magic", 16, "seal-format", xor(7)),
        bad("format version", 16, "seal-format", xor(8, 3)), bad("suite", 16, "seal-format", xor(9, 3)),
        bad("zero octets", 16, "seal-format", xor(11)), bad("payload version 0", 1, "seal-format", xor(15)),
        bad("another payload version", 16, "seal-commitment", xor(15)),
        bad("letter past 2^50", 16, "seal-format", xor(17, 0x10)),
        bad("another length, size unknown", 16, "seal-commitment", xor(23)),
        bad("another length, size announced", 16, "seal-length", xor(23), announced=96 + 32),
        bad("another payload id", 16, "seal-commitment", xor(24)), bad("another salt", 16, "seal-commitment", xor(63, 0x80)),
        bad("another commitment", 16, "seal-commitment", xor(64)), bad("end of the commitment", 16, "seal-commitment", xor(95)),
        bad("first octet of the chunk", 16, "seal-tag", xor(96)), bad("last octet of the tag", 16, "seal-tag", xor(96 + 31, 0x80)),
        bad("tag of the empty letter", 0, "seal-tag", xor(96)),
        bad("second chunk", 65537, "seal-tag", xor(96 + 65552), released=65536),
        bad("second chunk's tag", 131073, "seal-tag", xor(96 + 2 * 65552 - 1), released=65536),
        bad("last chunk", 131073, "seal-tag", xor(size - 1), released=131072),
        bad("nothing", 16, "seal-truncated", {"cut": 0}), bad("half a header", 16, "seal-truncated", {"cut": 48}),
        bad("header alone", 0, "seal-truncated", {"cut": 96}), bad("without the last octet", 16, "seal-truncated", {"cut": 127}),
        bad("cut between chunks", 131073, "seal-truncated", {"cut": 96 + 65552}, released=65536),
        bad("without the last chunk", 65537, "seal-truncated", {"cut": 96 + 65552}, released=65536),
        bad("cut in the second chunk", 131073, "seal-truncated", {"cut": 96 + 65552 + 1000}, released=65536),
        bad("one octet behind", 16, "seal-trailing", {"append": "00"}, released=16),
        bad("one octet behind the empty letter", 0, "seal-trailing", {"append": "00"}),
        bad("a chunk behind a full last one", 65536, "seal-trailing", {"append": "00" * 16}, released=65536),
        bad("announced one more", 16, "seal-length", {"append": "00"}, announced=96 + 33),
        bad("announced one less", 16, "seal-length", {"cut": 127}, announced=127),
        bad("announced size that no letter has", 16, "seal-length", announced=96 + 15),
        bad("announced size with an empty last chunk", 65536, "seal-length", {"append": "00" * 16}, announced=96 + 65552 + 16),
        bad("chunks in another order", 131072, "seal-tag", {"swap": 96, "and": 96 + 65552, "octets": 65552}),
        bad("first chunk twice", 131072, "seal-tag", {"copy": 96, "to": 96 + 65552, "octets": 65552}, released=65536),
        bad("another key", 16, "seal-commitment", {"dek": 0}), bad("another key's last octet", 131073, "seal-commitment", {"dek": 31}),
    ]


# ---- designations

def designations():
    def good(record, **want):
        return {"domain": "a.example", "record": record} | {"hosts": [], "takes_stubs": False, "testing": False, "prefixes": [],
                                                            "complaints": ""} | want
    return [
        good("v=restante1; h=pull.a.example:443; r=1; p=ip4:192.0.2.7; a=abuse@a.example; t=y", hosts=[["pull.a.example", 443, True]],
             takes_stubs=True, testing=True, prefixes=["ip4:192.0.2.7/32"], complaints="abuse@a.example"),
        good("v=restante1"), good("v=restante1;r=1;", takes_stubs=True), good(" v = restante1 ; r = 1 ", takes_stubs=True),
        good("v=restante1; h=A.Example, x.a.example:8443,pull.b.example; r=0",
             hosts=[["a.example", 443, True], ["x.a.example", 8443, True], ["pull.b.example", 443, False]]),
        good("v=restante1; h=xa.example", hosts=[["xa.example", 443, False]]),
        good("v=restante1; p=ip4:192.0.2.0/24,ip6:2001:db8::/32; z=unknown; r=2", prefixes=["ip4:192.0.2.0/24", "ip6:2001:db8::/32"]),
    ]


def bad_designations():
    bad = {"another version": "v=restante2; r=1", "v not first": "r=1; v=restante1", "nothing": "", "no tag list": "hello", "r twice": "v=restante1; r=1; r=1",
           "address literal": "v=restante1; h=192.0.2.1", "address in one number": "v=restante1; h=3221225985", "one label": "v=restante1; h=localhost",
           "IPv6 literal": "v=restante1; h=[::1]", "port 0": "v=restante1; h=a.example:0", "port with leading zero": "v=restante1; h=a.example:0443",
           "port 65536": "v=restante1; h=a.example:65536", "empty host in the list": "v=restante1; h=a.example,,b.example",
           "nine hosts": "v=restante1; h=" + ",".join(f"h{i}.a.example" for i in range(9)), "prefix without family": "v=restante1; p=192.0.2.1",
           "prefix too long": "v=restante1; p=ip4:192.0.2.0/33", "IPv4 as ip6": "v=restante1; p=ip6:192.0.2.1", "empty tag": "v=restante1;; r=1",
           "complaints without @": "v=restante1; a=abuse"}
    return [{"name": name, "domain": "a.example", "record": record, "error": "syntax"} for name, record in bad.items()]


def main():
    everything = {
        "about": "Vectors of docs/PROTOCOL.md, made by tests/vectors/generate.py. Octets are hex. Octet i of a letter is "
                 "(31*i + floor(i/251)) mod 256. `error` is the name of common/base/err.h in lower case.",
        "site_keys": site_keys(), "tickets": tickets(), "bad_tags": bad_tags(), "bad_urls": bad_urls(), "field_texts": field_texts(),
        "bad_field_texts": bad_field_texts(), "records": records(), "bad_records": bad_records(), "designations": designations(),
        "bad_designations": bad_designations(), "stubs": stubs(), "stub_spellings": stub_spellings(), "bad_stubs": bad_stubs(),
        "wraps": wraps(), "bad_wraps": bad_wraps(), "payloads": payloads(), "bad_payloads": bad_payloads(),
    }
    text = json.dumps(everything, indent=1, ensure_ascii=True) + "\n"
    if sys.argv[1:2] == ["--check"]:
        with open(sys.argv[2], encoding="ascii") as f:
            if f.read() != text:
                sys.exit(f"{sys.argv[2]} is not what {sys.argv[0]} makes")
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
