"""What a answers to whom: nothing to those without a key, one and the same 404 to wrong keys, 429 to many of them, 400 to
malformed fields; and all fields of the right answers."""

import os
import time

from evil import b64
from harness import check, equal, letter
from http2 import Answer
from puller import end, waiting
from restante import configured, status

NEEDS = ("restante",)


def test_without_a_key(bed):
    """Bare GET and HEAD of a link (people, link scanners): 401, whether the ticket exists or not, and nothing changes."""
    with waiting(bed, letter()) as offer:
        before = status(bed.a)
        for site in (bed.x, bed.b):
            with offer.client(site) as client:
                for path in (offer.path, offer.path[:-22] + b64(os.urandom(16)), f"/restante/1/{b64(os.urandom(16))}/"
                             + b64(os.urandom(16))):
                    for method in ("GET", "HEAD"):
                        answer = client.request(method, path, {"user-agent": "scanner"})
                        equal((answer.status, answer.body, answer.headers.get("www-authenticate")), (401, b"", "Restante"),
                              "answer")
        equal(offer.state(), "waiting", "state")
        equal({k: v for k, v in status(bed.a).items() if k.startswith("tickets")},
              {k: v for k, v in before.items() if k.startswith("tickets")}, "counts")


def test_one_404_for_all(bed):
    """A wrong B, an unknown ticket, a wrong Ka, an Authorization of another form: the same octets, on each request."""
    with waiting(bed, letter()) as offer, configured(bed.a, wrong_keys_max="1000"), offer.client() as client:
        a, b = offer.path.split("/")[3:5]
        key = f"Restante {offer.key}"
        wrong = {"wrong B": (f"/restante/1/{a}/{b64(os.urandom(16))}", key),
                 "unknown ticket": ("/restante/1/" + b64(bytes([0, 1]) + os.urandom(14)) + "/" + b, key),
                 "unknown epoch": ("/restante/1/" + b64(bytes([9, 9]) + os.urandom(14)) + "/" + b, key),
                 "wrong Ka": (offer.path, "Restante " + b64(os.urandom(32))),
                 "short Ka": (offer.path, key[:-1]), "long Ka": (offer.path, key + "A"), "no Ka": (offer.path, "Restante"),
                 "two blanks": (offer.path, key.replace(" ", "  ")), "Basic": (offer.path, "Basic Ym9iOmJvYg=="),
                 "Bearer": (offer.path, f"Bearer {offer.key}"), "Kd for Ka": (offer.path, "Restante " + offer.tags["d"])}
        seen = {}
        for what, (path, authorization) in wrong.items():
            for method, verb in (("HEAD", ""), ("GET", ""), ("POST", "/claim"), ("POST", "/ack"), ("POST", "/nack"),
                                 ("POST", "/status")):
                headers = {"authorization": authorization, "restante-lease": offer.lease}
                answer = client.request(method, path + verb, headers)
                fields = tuple(sorted((n, v) for n, v in answer.headers.items() if n != "date"))
                seen.setdefault((answer.status, answer.body, fields), []).append(f"{what} {method}{verb}")
        # HEAD may differ from the others by what HTTP says of it alone.
        check(all(key[0] == 404 for key in seen), f"answers: { {k[0]: v for k, v in seen.items()} }")
        equal(len(seen), 1, f"different answers: {seen}")
        end(client.request("GET", "/", {"authorization": key}), 404)
        end(client.request("GET", offer.path + "?x=1", {"authorization": key}), 404)
        end(client.request("GET", offer.path + "/", {"authorization": key}), 404)
        end(client.request("GET", offer.path.replace("restante", "%72estante"), {"authorization": key}), 404)
        end(client.request("GET", "/restante/1/../1/" + offer.path[12:], {"authorization": key}), 404)
        equal(offer.state(), "waiting", "state")
        end(offer.claim(client), 200)


def test_wrong_keys_are_counted(bed):
    """After wrong_keys_max of them the network gets 429 with Retry-After, with right keys too; another network is served."""
    with waiting(bed, letter()) as offer, configured(bed.a, wrong_keys_max="5"):
        with offer.client(bed.x) as stranger, offer.client(bed.b, address=bed.a.address6) as other:
            statuses = [offer.head(stranger, key=b64(os.urandom(32))).status for _ in range(12)]
            equal(set(statuses), {404, 429}, f"answers {statuses}")
            check(statuses.count(404) <= 10 and statuses[-1] == 429, f"answers {statuses}")
            answer = offer.head(stranger)
            equal(answer.status, 429, "answer to the right key from there")
            check(1 <= int(answer.headers["retry-after"]) <= 60, f"Retry-After {answer.headers}")
            end(offer.head(other), 204)
            end(offer.claim(other), 200)
            end(offer.ack(other), 204)
        try:
            bed.a.daemons.shift_clock(61)
            time.sleep(1.2)
            with offer.client(bed.b) as client:
                end(offer.head(client), 410, "a minute later")
        finally:
            bed.a.daemons.shift_clock(0)


def test_methods_and_forms(bed):
    """405 with Allow; 400 for fields that are missing, doubled or malformed; none of it changes the ticket."""
    with waiting(bed, letter()) as offer, configured(bed.a, wrong_keys_max="1000"), offer.client() as client:
        for method, verb, allow in (("PUT", "", "GET, HEAD"), ("DELETE", "", "GET, HEAD"), ("POST", "", "GET, HEAD"),
                                    ("GET", "claim", "POST"), ("HEAD", "ack", "POST"), ("OPTIONS", "nack", "POST")):
            answer = end(offer.ask(client, method, verb), 405, f"{method} {verb}")
            equal(answer.headers.get("allow"), allow, f"Allow of {method} {verb}")
        bad_claims = {"no lease": {"lease": None}, "short lease": {"lease": offer.lease[:-1]}, "long lease": {"lease": "A" * 23},
                      "odd lease": {"lease": "!" * 22}, "no sender": {"sender": None}, "no recipient": {"recipient": None},
                      "no author": {"author": None}, "blank in the sender": {"sender": "alice @a.test"},
                      "needless escape": {"sender": "%61lice@a.test"}, "small digits": {"sender": "alice%c3%bc@a.test"},
                      "cut escape": {"sender": "alice@a.test%"}, "NUL": {"sender": "alice%00@a.test"},
                      "line break": {"author": "alice%0D%0A@a.test"}, "bad UTF-8": {"recipient": "bob%FF@b.test"}}
        for what, changes in bad_claims.items():
            end(offer.claim(client, **changes), 400, what)
        fields = [(":method", "POST"), (":scheme", "https"), (":authority", "pull.a.test"), (":path", offer.path + "/claim"),
                  ("authorization", f"Restante {offer.key}"), ("restante-sender", "alice@a.test"),
                  ("restante-recipient", offer.recipient), ("restante-from", "alice@a.test"), ("restante-lease", offer.lease)]
        for name in ("restante-lease", "restante-sender"):
            doubled = client.h2.get_next_available_stream_id()
            client.h2.send_headers(doubled, fields + [(name, dict(fields)[name])], end_stream=True)
            client.answers[doubled] = Answer()
            client.flush()
            end(client.finish(doubled), 400, f"{name} twice")
        for what, changes in {"no digest": {"digest": None}, "short digest": {"digest": "AAAA"}}.items():
            end(offer.ack(client, **changes), 400, what)
        for what, changes in {"no reason": {"reason": None}, "odd reason": {"reason": "Denied!"}, "empty": {"reason": ""},
                              "long reason": {"reason": "a" * 32}, "odd text": {"text": "a b"},
                              "odd lease": {"lease": "x"}}.items():
            end(offer.nack(client, **changes), 400, what)
        for what, changes in {"no status": {}, "another word": {"status": "done"}, "held with a challenge":
                              {"status": "held", "challenge": "https://b.test/"}, "challenge without URL":
                              {"status": "challenge"}, "another scheme": {"status": "challenge",
                                                                          "challenge": "http://b.test/"},
                              "long URL": {"status": "challenge", "challenge": "https://b.test/" + "x" * 512}}.items():
            end(offer.ask(client, "POST", "status", **changes), 400, what)
        answer = client.request("POST", offer.path + "/claim", {"authorization": f"Restante {offer.key}"}, b"a body")
        check(answer.status in (400, 413), f"answer to a claim with a body: {answer.status} {answer.error}")
        equal(offer.state(), "waiting", "state")


def test_mismatches(bed):
    """Claims whose sender, recipient or author differ from the ticket: 409, nothing changes; A-labels and upper case in the
    domain are the same address."""
    with waiting(bed, letter()) as offer, offer.client() as client:
        for changes in ({"sender": "carol@a.test"}, {"sender": "alice@b.test"}, {"recipient": "carol@b.test"},
                        {"recipient": "Bob" + offer.recipient[3:]}, {"author": "boss@a.test"}, {"author": "x" * 400 + "@a.test"}):
            end(offer.claim(client, **changes), 409, str(changes)[:80])
        equal(offer.state(), "waiting", "state")
        end(offer.claim(client, sender="alice@A.Test", recipient="bob@" + offer.recipient[4:].upper()), 200)


def test_fields_of_the_answers(bed):
    """HEAD 204 and claim 200 bear what the protocol says, and the payload opens to the letter; small and large."""
    body = b"\r\n".join(os.urandom(35).hex().encode() for _ in range(5000)) + b"\r\n"
    for raw in (letter(), letter(body=body)):
        with waiting(bed, raw) as offer, offer.client() as client:
            head = end(offer.head(client), 204)
            facts = {name: head.headers[name] for name in ("restante-size", "restante-version", "restante-expires")}
            equal(facts["restante-size"], offer.tags["s"], "size")
            equal(facts["restante-expires"], offer.tags["x"], "expiry")
            equal(facts["restante-version"], "1", "version")
            equal(offer.state(), "waiting", "state after HEAD")
            claim = end(offer.claim(client), 200)
            equal({name: claim.headers[name] for name in facts}, facts, "facts of the claim")
            equal(offer.state(), "leased", "state after the claim")
            equal((claim.headers["restante-sender"], claim.headers["restante-recipient"]), ("alice@a.test", offer.recipient),
                  "addresses")
            equal(claim.headers["content-length"], str(len(claim.body)), "Content-Length")
            equal(claim.headers["content-type"], "application/octet-stream", "Content-Type")
            equal(claim.headers["content-location"], offer.path, "Content-Location")
            check("restante-notify" not in claim.headers, "Restante-Notify though nothing was asked for")
            sent = offer.open(claim)
            check(sent.endswith(raw[raw.index(b"From:"):]), "the letter is another one")
