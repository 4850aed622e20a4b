#!/usr/bin/python3
"""Each case with a client of HTTP/1.1 and of HTTP/2 before an application of either, over a link
and in the process: what RFC 9110, 9112 and 9113 ask of whoever stands between them.

Loopback addresses, no root. Needs python3-hpack.

Time limit: 90 s
"""

import socket
import sys

from acceptor import Acceptor
from lab import skip_all, wait_for
from loopback import Node, boot, main
from rows_app import read_head

try:
    import h2_wire as h2
except ImportError:
    skip_all("python3-hpack is not installed")

NEAR, FAR = "127.0.77.1", "127.0.77.2"
# name: (host, port of the application, protocol, port of the listener)
SERVICES = {
    "far-h1": (FAR, 8081, "http", 9001),
    "far-h2": (FAR, 8082, "h2", 9002),
    "near-h1": (NEAR, 8081, "http", 9003),
    "near-h2": (NEAR, 8082, "h2", 9004),
}
PARTS = 100  # bytes that a message says it has, when it is cut
HOP = {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "x-hop"}


def config_of(host):
    text = '[service.web]\nlocal = "127.0.77.1:9"\nhealth = "none"\n' if host == NEAR else ""
    for name, (at, port, protocol, listen) in SERVICES.items():
        if host == NEAR:
            text += f'[upstream.{name}]\nlisten = "{NEAR}:{listen}"\nas = "web"\n'
            text += f'protocol = "{protocol}"\n'
        if at == host:
            text += f'[service.{name}]\nlocal = "{at}:{port}"\nprotocol = "{protocol}"\n'
            text += 'health = "none"\nallow = ["web"]\n'
    return text


class Message:
    """A request as the application has it, or a response as the client has it."""

    def __init__(self, line, fields):
        self.line, self.fields = line, list(fields)
        self.body, self.trailers, self.whole = b"", {}, False
        self.interims = []

    def get(self, name):
        values = [v for n, v in self.fields if n == name]
        return values[0] if len(values) == 1 else values or None

    def __repr__(self):
        return f"{self.line} {self.fields} {self.body[:60]!r} {self.trailers} whole={self.whole}"


def read_h1_body(reader, message, bodiless=False):
    """Fills in body and trailers; `whole` says whether its end was seen."""
    length = message.get("content-length")
    if bodiless or (length is None and message.get("transfer-encoding") is None):
        message.whole = True
    elif length is not None:
        message.body = reader.read(int(length))
        message.whole = len(message.body) == int(length)
    else:
        while True:
            line = reader.readline(1000)
            if not line.endswith(b"\r\n"):
                return
            size = int(line, 16)
            if size == 0:
                break
            message.body += reader.read(size)
            if reader.read(2) != b"\r\n":
                return
        while True:
            line = reader.readline(70000)
            if line == b"\r\n":
                message.whole = True
                return
            if not line:
                return
            name, _, value = line.decode("latin-1").partition(":")
            message.trailers[name.lower()] = value.strip()


# --- the applications: /PATH says how they answer ---


class Old(Acceptor):
    def __init__(self, address):
        self.seen = []
        super().__init__(address)

    def serve(self, conn):
        reader = conn.makefile("rb")
        try:
            while self.exchange(conn, reader):
                pass
        except (OSError, ValueError):
            pass
        finally:
            reader.close()
            conn.close()

    def exchange(self, conn, reader):
        head = read_head(reader)
        if head is None:
            return False
        method, path, _ = head[0].split(" ", 2)
        request = Message((method, path), head[1])
        self.seen.append(request)
        ok = b"HTTP/1.1 200 OK\r\n"
        if path == "/early":
            conn.sendall(ok + b"content-length: 5\r\n\r\nearly")
            reader.read(PARTS)
            return False
        if request.get("expect"):
            conn.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        read_h1_body(reader, request)
        if not request.whole:
            return False
        if path == "/cut-length":
            conn.sendall(ok + b"content-length: %d\r\n\r\nshort" % PARTS)
            return False
        if path == "/cut-open":
            conn.sendall(ok + b"transfer-encoding: chunked\r\n\r\n5\r\nshort\r\n")
            return False
        if path in ("/204", "/304"):
            length = b"content-length: 1234\r\n" if path == "/304" else b""
            conn.sendall(b"HTTP/1.1 " + path[1:].encode() + b" x\r\n" + length + b"\r\n")
        elif method == "HEAD":
            conn.sendall(ok + b"content-length: 1234\r\n\r\n")
        elif path == "/hop":
            conn.sendall(ok + b"connection: x-hop, keep-alive\r\nx-hop: 1\r\nkeep-alive: 9\r\n")
            conn.sendall(b"proxy-connection: x\r\nx-end: 1\r\ncontent-length: 0\r\n\r\n")
        elif path == "/interim":
            conn.sendall(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 2)
            conn.sendall(ok + b"content-length: 0\r\n\r\n")
        elif request.trailers:
            conn.sendall(ok + b"transfer-encoding: chunked\r\n\r\n")
            conn.sendall(b"%x\r\n" % len(request.body) + request.body + b"\r\n0\r\n")
            conn.sendall(b"x-back: " + request.trailers["x-forth"].encode() + b"\r\n\r\n")
        else:
            conn.sendall(ok + b"content-length: %d\r\n\r\n" % len(request.body) + request.body)
        return True


class New(h2.App):
    def __init__(self, address):
        super().__init__(address, self.answer_end, self.answer_head, streams=100)

    @property
    def seen(self):
        return [self.message_of(call) for call in list(self.calls)]

    @staticmethod
    def message_of(call):
        head = call.message.heads[0]
        pseudo = {n: v for n, v in head if n.startswith(":")}
        fields = [(n, v) for n, v in head if not n.startswith(":")]
        if ":authority" in pseudo:
            fields.append(("host", pseudo[":authority"]))
        m = Message((pseudo[":method"], pseudo[":path"]), fields)
        m.body, m.whole = call.message.body, call.message.ended
        m.trailers = dict(call.message.heads[1]) if len(call.message.heads) > 1 else {}
        return m

    def answer_head(self, call):
        if call.path() == "/early":
            call.respond(200, body=b"early")
        elif call.field("expect"):
            call.peer.headers(call.stream, [(":status", "100")])

    def answer_end(self, call):
        path, body = call.path(), call.message.body
        if path in ("/cut-length", "/cut-open"):
            length = [("content-length", str(PARTS))] if path == "/cut-length" else []
            call.peer.headers(call.stream, [(":status", "200"), *length])
            call.peer.data(call.stream, b"short")
            call.peer.send(h2.frame(h2.RST, 0, call.stream, (2).to_bytes(4, "big")))
        elif path in ("/204", "/304"):
            call.respond(path[1:], *([("content-length", "1234")] if path == "/304" else []))
        elif call.field(":method") == "HEAD":
            call.respond(200, ("content-length", "1234"))
        elif path == "/interim":
            for _ in range(2):
                call.peer.headers(call.stream, [(":status", "103"), ("link", "</a>")])
            call.respond(200)
        elif len(call.message.heads) > 1:
            back = dict(call.message.heads[1])["x-forth"]
            call.respond(200, body=body, trailers=[("x-back", back)])
        elif path != "/early":
            call.respond(200, body=body)


# --- the clients ---


class H1Client:
    def __init__(self, port):
        self.sock = socket.create_connection((NEAR, port), timeout=10)
        self.reader = self.sock.makefile("rb")

    def send(self, method, path, fields=(), body=None, trailers=None, missing=0, length=True):
        text = f"{method} {path} HTTP/1.1\r\nHost: a\r\n"
        text += "".join(f"{n}: {v}\r\n" for n, v in fields)
        data = body or b""
        if body is not None and length and not trailers:
            text += f"content-length: {len(body) + missing}\r\n"
        elif body is not None:
            text += "transfer-encoding: chunked\r\n"
            data = b"%x\r\n" % len(body) + body + b"\r\n"
            if not missing:
                end = "".join(f"{n}: {v}\r\n" for n, v in trailers or [])
                data += b"0\r\n" + end.encode() + b"\r\n"
        self.sock.sendall(text.encode() + b"\r\n" + data)
        self.method = method

    def answer(self):
        """What came of it; a connection that is reset in its middle leaves it without its end."""
        m = Message(0, [])
        try:
            return self.read_answer(m)
        except ConnectionError:
            return m

    def read_answer(self, m):
        while True:
            head = read_head(self.reader)
            if head is None:
                return m
            m.line, m.fields = int(head[0].split(" ")[1]), head[1]
            if m.line >= 200:
                break
            m.interims.append(m.line)
        read_h1_body(self.reader, m, self.method == "HEAD" or m.line in (204, 304))
        return m

    def leave(self):
        self.reader.close()
        self.sock.close()


class H2Client:
    def __init__(self, port):
        self.peer = h2.dial((NEAR, port))

    def send(self, method, path, fields=(), body=None, trailers=None, missing=0, length=True):
        head = h2.get(path, *fields, method=method)
        if body is not None and length and not trailers:
            head.append(("content-length", str(len(body) + missing)))
        last = body is None
        self.stream = self.peer.request(head, None, end=last)
        if body is not None:
            self.peer.data(self.stream, body, end=not trailers and not missing)
        if trailers:
            self.peer.headers(self.stream, trailers, end=True)

    def answer(self):
        got = self.peer.answer(self.stream)
        heads = [dict(h) for h in got.heads]
        finals = [h for h in heads if h.get(":status", "000") >= "200"]
        m = Message(int(finals[0][":status"]) if finals else 0, finals[0].items() if finals else [])
        m.interims = [int(h[":status"]) for h in heads if "100" <= h.get(":status", "") < "200"]
        m.body, m.whole = got.body, got.ended and got.reset is None
        m.trailers = heads[-1] if heads and ":status" not in heads[-1] else {}
        return m

    def leave(self):
        self.peer.send(h2.frame(h2.RST, 0, self.stream, h2.CANCEL.to_bytes(4, "big")))
        # The reset is read before the connection is gone.
        self.peer.request(h2.get("/after"))
        self.peer.answer(self.peer.next_id - 2)
        self.peer.close()


# --- the cases: what to send, what the application and the client must have ---


def plain(m, status=200, body=b""):
    return m.line == status and m.whole and m.body == body


def cases(client):
    """(what, arguments of send, check of the request or None, check of the response)"""
    get, post = ("GET",), ("POST",)
    yield "a body with a length", (*post, "/l"), {"body": b"abc"}, (
        lambda r: r.whole and r.body == b"abc" and r.get("content-length") == "3"
    ), lambda m: plain(m, body=b"abc")
    yield "a body without", (*post, "/c"), {"body": b"abc", "length": False}, (
        lambda r: r.whole and r.body == b"abc" and r.get("content-length") is None
    ), lambda m: plain(m, body=b"abc")
    yield "an empty body", (*post, "/e"), {"body": b""}, (
        lambda r: r.whole and r.body == b"" and r.get("content-length") == "0"
    ), plain
    yield "trailers", (*post, "/t"), {"body": b"abc", "trailers": [("x-forth", "7")]}, (
        lambda r: r.whole and r.trailers.get("x-forth") == "7"
    ), lambda m: plain(m, body=b"abc") and m.trailers.get("x-back") == "7"
    for path in ("/cut-length", "/cut-open"):
        yield f"a response that ends early, {path}", (*get, path), {}, None, (
            lambda m: m.line == 502 or not m.whole
        )
    yield "HEAD", ("HEAD", "/h"), {}, (lambda r: r.line == ("HEAD", "/h")), (
        lambda m: plain(m) and m.get("content-length") == "1234"
    )
    yield "304 with a length", (*get, "/304"), {}, None, (
        lambda m: plain(m, 304) and m.get("content-length") == "1234"
    )
    yield "204", (*get, "/204"), {}, None, (
        lambda m: plain(m, 204) and m.get("content-length") is None
    )
    yield "interim heads", (*get, "/interim"), {}, None, (
        lambda m: plain(m) and m.interims[-2:] == [103, 103]
    )
    yield "100-continue", (*post, "/x", [("expect", "100-continue")]), {"body": b"abc"}, (
        lambda r: r.whole and r.body == b"abc"
    ), lambda m: plain(m, body=b"abc")
    yield "OPTIONS *", ("OPTIONS", "*"), {}, (lambda r: r.line == ("OPTIONS", "*")), plain
    yield "an answer before the end of the request", (*post, "/early"), {
        "body": b"x",
        "missing": PARTS - 1,
    }, None, lambda m: plain(m, body=b"early")
    yield "te: trailers", (*get, "/te", [("te", "trailers")]), {}, (
        lambda r: r.get("te") == "trailers"
    ), plain
    if client is H2Client:
        crumbs = [("cookie", "a=1"), ("cookie", "b=2")]
        yield "cookie crumbs", (*get, "/k", crumbs), {}, (
            lambda r: r.get("cookie") == "a=1; b=2"
        ), plain
        return
    named = [("connection", "x-hop, keep-alive, te"), ("x-hop", "1"), ("keep-alive", "9")]
    named += [("proxy-connection", "x"), ("te", "trailers, deflate;q=0.5"), ("x-end", "1")]
    yield "fields for one hop", (*get, "/n", named), {}, (
        lambda r: r.get("x-end") == "1"
        and r.get("te") in (None, "trailers")
        and not {n for n, _ in r.fields} & (HOP - {"connection"})
        and r.get("connection") in (None, "te")
    ), plain
    yield "the absolute form", (*get, "http://b/abs?q"), {}, (
        lambda r: r.line == ("GET", "/abs?q") and r.get("host") == "b"
    ), plain


def run_case(tap, name, app, client, case):
    what, argv, more, request_good, response_good = case
    where = f"{client.__name__[:2]} client, {name}"
    before = len(app.seen)
    c = client(SERVICES[name][3])
    c.send(*argv, **more)
    answer = c.answer()
    seen = app.seen[before:]
    # A GET whose answer was cut before its head was passed on may have been made again.
    good = request_good(seen[0]) and len(seen) == 1 if request_good and seen else bool(seen)
    tap.ok(good and response_good(answer), f"{what}: {where}", f"{seen}\n{answer}")
    c.leave()


def abandoned(tap, name, app, client):
    """A request whose client goes away in its middle is never whole at the application."""
    for length in (True, False):
        before = len(app.seen)
        c = client(SERVICES[name][3])
        c.send("POST", "/gone", body=b"short", missing=PARTS - 5, length=length)
        arrived = wait_for(lambda: [m for m in app.seen[before:] if m.line[1] == "/gone"], 10)
        c.leave()
        # An application that has seen the end of that connection or stream has its last word.
        ask = client(SERVICES[name][3])
        ask.send("GET", "/after")
        after = ask.answer()
        gone = [m for m in app.seen[before:] if m.line[1] == "/gone"]
        good = arrived and len(gone) == 1 and not gone[0].whole and after.line == 200
        tap.ok(
            good,
            f"a request cut in its body, {'length' if length else 'open'}: "
            f"{client.__name__[:2]} client, {name}",
            f"{gone} {after}",
        )
        ask.leave()


def response_fields(tap, name, client):
    c = client(SERVICES[name][3])
    c.send("GET", "/hop")
    m = c.answer()
    left = {n for n, _ in m.fields} & HOP
    tap.ok(
        plain(m) and m.get("x-end") == "1" and not left,
        f"fields of a response for one hop stay: {client.__name__[:2]} client, {name}",
        m,
    )
    c.leave()


def run_all(tap, folder):
    one, two = Node(folder, 1), Node(folder, 2)
    apps = {
        name: (Old if protocol == "http" else New)((at, port))
        for name, (at, port, protocol, _) in SERVICES.items()
    }
    try:
        if not boot(tap, one, two, config_of(NEAR), config_of(FAR)):
            return

        def ready(name):
            c = H1Client(SERVICES[name][3])
            c.send("GET", "/ready")
            good = c.answer().line == 200
            c.leave()
            return good

        for name in SERVICES:
            if not tap.ok(wait_for(lambda: ready(name), 20), f"{name} answers", one.said()):
                return
        for name, app in apps.items():
            for client in (H1Client, H2Client):
                for case in cases(client):
                    run_case(tap, name, app, client, case)
                abandoned(tap, name, app, client)
                if isinstance(app, Old):
                    response_fields(tap, name, client)
        tap.ok(one.alive() and two.alive(), "both hosts live", one.said() + two.said())
    finally:
        for node in (one, two):
            node.stop()
        for app in apps.values():
            app.close()


if __name__ == "__main__":
    sys.exit(main(run_all, "parley-translation-"))
