#!/usr/bin/python3
"""HTTP/2 at both edges of a mesh of two nodes: local clients that speak it by prior knowledge,
applications of protocol "h2" and "grpc", gRPC's errors and deadlines, WebSockets (RFC 6455 and RFC
8441) and server-sent events, over a link and in the process, translated where the ends differ.

Loopback addresses, no root. Needs python3-hpack.

Time limit: 150 s
"""

import base64
import hashlib
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time

from lab import binary, skip_all, wait_for
from loopback import Node, boot, main
from rows_app import App as H1App

try:
    import h2_wire as h2
    import h2_tunnels
    from h2_tunnels import read_exactly, read_head
except ImportError:
    skip_all("python3-hpack is not installed")

NEAR, FAR = "127.0.77.1", "127.0.77.2"
GRPC = ("content-type", "application/grpc")
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = base64.b64encode(
    hashlib.sha1((KEY + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
).decode()


def service(name, host, port, protocol, rules='allow = ["web"]'):
    said = f'protocol = "{protocol}"' if protocol else ""
    return f"""
[service.{name}]
local = "{host}:{port}"
{said}
health = "none"
{rules}
"""


def upstream(name, port):
    return f"""
[upstream.{name}]
listen = "{NEAR}:{port}"
as = "web"
"""


# name: (host, port of the application, protocol or None: to be learned, port of the listener)
SERVICES = {
    "old": (FAR, 8081, "http", 9001),
    "new": (FAR, 8082, None, 9002),
    "rpc": (FAR, 8083, "grpc", 9003),
    "one": (FAR, 8084, "h2", 9004),
    "gone": (FAR, 8085, "grpc", 9005),
    "shut": (FAR, 8086, "grpc", 9006),
    "near-old": (NEAR, 8081, "http", 9007),
    "near-rpc": (NEAR, 8083, "grpc", 9008),
    "narrow": (FAR, 8087, "h2", 9009),
    "sealed": (FAR, 8082, "h2", 9010),  # the application of "new", to callers that speak TLS
    # Applications that are asked to be proxies.
    "proxy-old": (FAR, 8081, "http", 9011),
    "proxy-new": (FAR, 8082, "h2", 9012),
    "near-proxy": (NEAR, 8081, "http", 9013),
}


def config_of(host, folder):
    text = '[defaults]\nconnect_timeout = "5s"\n'
    text += service("web", NEAR, 8080, "http") if host == NEAR else ""
    for name, (at, port, protocol, listen) in SERVICES.items():
        if host == NEAR:
            text += upstream(name, listen)
        if host == NEAR and name == "sealed":
            text += f'tls = {{ cert = "{folder}/sealed.crt", key = "{folder}/sealed.key" }}\n'
        if host == NEAR and "proxy" in name:
            text += "connect = true\n"
        if at == host:
            rules = "" if name == "shut" else 'allow = ["web"]'
            rules += "\nconnect = true" if "proxy" in name else ""
            text += service(name, at, port, protocol, rules)
    return text


def to(name, **own):
    return h2.dial((NEAR, SERVICES[name][3]), **own)


def post(path, *more):
    return h2.get(path, *more, method="POST")


def rpc(path, *more):
    return post(path, GRPC, ("te", "trailers"), *more)


# --- the applications ---


class Apps:
    def __init__(self):
        self.held, self.lock = [], threading.Lock()
        self.widest = 0  # streams open at once on a connection of `one`
        self.upgrades = []
        self.gate = threading.Event()
        self.old = H1App(FAR, 8081)
        self.near_old = H1App(NEAR, 8081)
        self.new = h2.App((FAR, 8082), self.end, self.head, self.data, streams=100, connect=1)
        self.rpc = h2.App((FAR, 8083), self.end, self.head, streams=100)
        self.near_rpc = h2.App((NEAR, 8083), self.end, self.head, streams=100)
        self.one = h2.App((FAR, 8084), self.end_one, self.head_one, streams=1)
        self.narrow = h2.App((FAR, 8087), self.end_goaway, streams=100)
        self.open = {}

    def close(self):
        for app in (self.old, self.near_old, self.new, self.rpc, self.near_rpc, self.one):
            app.close()
        self.narrow.close()

    def head(self, call):
        if call.field(":protocol") == "websocket":
            self.upgrades.append(call)
            call.peer.headers(call.stream, [(":status", "200")])
        elif call.field(":method") == "CONNECT":
            if call.field(":authority").startswith("open."):
                call.peer.headers(call.stream, [(":status", "200")])
            else:
                call.respond(407, ("proxy-authenticate", "Basic"), body=b"no")
        elif call.path() == "/early":
            call.respond(200, body=b"early")

    def data(self, call, payload):
        if call.field(":method") == "CONNECT":
            call.peer.data(call.stream, payload)

    def end(self, call):
        path = call.path()
        if call.field(":method") == "CONNECT":
            call.peer.data(call.stream, b"bye", end=True)
        elif path == "/pair":
            self.hold(call)
        elif path == "/rpc":
            trailers = [("grpc-status", "5"), ("grpc-message", "no such row")]
            call.respond(200, GRPC, body=call.message.body, trailers=trailers)
        elif path == "/rpc-bare":
            call.respond(200, GRPC, ("grpc-status", "16"))
        elif path == "/deaf":
            pass
        elif path == "/slow":
            threading.Thread(target=self.respond_late, args=(call,), daemon=True).start()
        elif path == "/reset":
            call.peer.send(h2.frame(h2.RST, 0, call.stream, (8).to_bytes(4, "big")))
        elif path != "/early":
            trailers = None
            if len(call.message.heads) > 1:
                trailers = [("x-back", dict(call.message.heads[1]).get("x-forth", ""))]
            call.respond(200, body=call.message.body or path.encode(), trailers=trailers)

    def respond_late(self, call):
        self.gate.wait(30)
        try:
            call.respond(200, body=b"slow")
        except h2.Gone:
            pass  # the test has failed already

    def hold(self, call):
        """Answers two calls when both are there: they cannot have waited for each other."""
        with self.lock:
            self.held.append(call)
            if len(self.held) < 2:
                return
            held, self.held = self.held, []
        for other in reversed(held):
            other.respond(200, body=str(other.stream).encode())

    def head_one(self, call):
        with self.lock:
            self.open[call.peer] = self.open.get(call.peer, 0) + 1
            self.widest = max(self.widest, self.open[call.peer])

    def end_one(self, call):
        time.sleep(0.01)
        with self.lock:
            self.open[call.peer] -= 1
        call.respond(200, body=b"one")

    @staticmethod
    def end_goaway(call):
        """Answers the first call of a connection and goes away with those behind it undone."""
        if call.stream == 1:
            call.peer.send(h2.frame(h2.GOAWAY, 0, 0, (1).to_bytes(4, "big") + bytes(4)))
            call.respond(200, body=b"first")


# --- requests ---


def test_streams(tap, apps):
    c = to("new")
    a, b = c.request(h2.get("/pair")), c.request(h2.get("/pair"))
    got = [c.answer(s).status() for s in (a, b)]
    tap.ok(got == [200, 200], "two streams of one connection are answered together", got)
    ids = {dict(c.streams[s].heads[0]).get("parley-request-id") for s in (a, b)}
    tap.ok(len(ids) == 2, "they are exchanges of their own", ids)
    s = c.request(post("/x", ("te", "trailers"), ("trailer", "x-forth")), b"abc", end=False)
    c.headers(s, [("x-forth", "7"), ("authorization", "no")], end=True)
    m = c.answer(s)
    good = m.status() == 200 and m.body == b"abc" and m.fields().get("x-back") == "7"
    tap.ok(good, "trailers pass both ways between HTTP/2 ends", m.heads)
    fields = dict(apps.new.calls[-1].message.heads[0])
    tap.ok(fields.get("te") == "trailers", "te: trailers reaches the application", fields)
    tap.ok(fields.get("parley-peer") == "spiffe://lab/service/web", "so does who calls", fields)
    crumbs = [("cookie", f"c{i}=1") for i in range(3)]
    s = c.request(h2.get("/crumbs", *crumbs))
    c.answer(s)
    cookie = dict(apps.new.calls[-1].message.heads[0]).get("cookie")
    tap.ok(cookie == "c0=1; c1=1; c2=1", "cookie crumbs are joined", cookie)
    body = os.urandom(1 << 20)
    s = c.request(post("/echo"), None, end=False)
    c.data(s, body, end=True)
    m = c.answer(s, 20)
    tap.ok(m.body == body, "a MiB comes back whole", f"{len(m.body)} bytes, reset {m.reset}")
    s = c.request(post("/early"), b"x", end=False)
    m = c.answer(s)
    tap.ok(m.body == b"early" and m.ended, "an early answer passes", m.heads)
    s = c.request(h2.get("/reset"))
    m = c.answer(s)
    head = m.head()
    tap.ok(
        head.get("parley-reason") == "upstream_reset", "a reset of the application is told", head
    )
    c.close()


def test_translation(tap, apps):
    for name, app in (("old", apps.old), ("near-old", apps.near_old)):
        c = to(name)
        mark = app.mark()
        s = c.request(post("/t", ("te", "trailers"), ("x-a", "1")), b"abc", end=False)
        c.headers(s, [("x-forth", "7")], end=True)
        m = c.answer(s)
        seen = app.since(mark)
        good = m.status() == 200 and len(seen) == 1 and seen[0].body == b"abc"
        tap.ok(good, f"a request to HTTP/1.1, {name}", (m.heads, seen))
        if not good:
            continue
        r = seen[0]
        tap.ok(r.get("trailer:x-forth") == ["7"], f"its trailers, {name}", r.fields)
        tap.ok(r.get("host") == ["a"], f"its authority is the Host, {name}", r.fields)
        te = (r.get("te"), r.get("connection"))
        tap.ok(te == (["trailers"], ["te"]), f"TE is named by Connection, {name}", te)
        s = c.request(h2.get("/script/few-interims"))
        statuses = [dict(h).get(":status") for h in c.answer(s).heads]
        tap.ok(statuses == ["103", "103", "103", "200"], f"interim heads, {name}", statuses)
        s = c.request(h2.get("/script/short"))
        m = c.answer(s)
        tap.ok(m.reset is not None and not m.ended, f"a cut body is reset, {name}", m.heads)
        c.close()


def test_limits(tap, apps):
    c = to("one")
    streams = [c.request(h2.get("/one")) for _ in range(40)]
    got = [c.answer(s, 20).status() for s in streams]
    tap.ok(got == [200] * 40, "40 requests to an application that allows one stream", got)
    tap.ok(apps.widest == 1, "its limit holds", apps.widest)
    tap.ok(len(apps.one.peers) <= 4, "over few connections", len(apps.one.peers))
    c.close()
    c = to("narrow")
    got = [c.answer(c.request(h2.get("/n"))).status() for _ in range(5)]
    tap.ok(got == [200] * 5, "GOAWAY behind every answer is not noticed", got)
    streams = [c.request(h2.get("/n")) for _ in range(2)]
    got = [c.answer(s).status() for s in streams]
    tap.ok(got == [200] * 2, "what an application left undone is done elsewhere", got)
    c.close()


# --- TLS of local clients ---


def certificate(folder):
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    argv += ["-nodes", "-days", "2", "-subj", "/CN=sealed", "-addext", f"subjectAltName=IP:{NEAR}"]
    argv += ["-keyout", f"{folder}/sealed.key", "-out", f"{folder}/sealed.crt"]
    subprocess.run(argv, check=True, capture_output=True)
    os.chmod(f"{folder}/sealed.key", 0o600)


def test_tls(tap, folder):
    port = SERVICES["sealed"][3]
    url = f"https://{NEAR}:{port}/sealed"
    trust = ["--cacert", f"{folder}/sealed.crt"]
    for flags, want in (
        (["--http2"], "2 200"),
        (["--http1.1"], "1.1 200"),
        (["--no-alpn"], "1.1 200"),
    ):
        argv = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_version} %{http_code}"]
        r = subprocess.run([*argv, *trust, *flags, url], capture_output=True, text=True, timeout=20)
        tap.ok(r.stdout == want, f"curl {flags[0]} over TLS", r.stdout + r.stderr)

    def sealed(alpn, first):
        """What ALPN chose, and how the connection goes on behind these bytes."""
        context = ssl.create_default_context(cafile=f"{folder}/sealed.crt")
        if alpn:
            context.set_alpn_protocols(alpn)
        try:
            with socket.create_connection((NEAR, port), timeout=5) as raw:
                with context.wrap_socket(raw, server_hostname=NEAR) as sock:
                    chosen = sock.selected_alpn_protocol()
                    sock.sendall(first)
                    return chosen, sock.recv(100)
        except (ssl.SSLError, ConnectionError):
            return None, b""

    h1 = b"GET /h1 HTTP/1.1\r\nHost: a\r\n\r\n"
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"
    got = sealed(["http/1.1", "h2"], preface)
    tap.ok(got[0] == "h2" and got[1][3:4] == b"\4", "h2 is chosen before http/1.1", got)
    got = sealed([], preface)
    tap.ok(got[0] is None and got[1][3:4] == b"\4", "without ALPN the first bytes tell", got)
    got = sealed(["h2"], h1)
    tap.ok(not got[1], "T15 HTTP/1.1 behind ALPN h2 is cut", got)
    got = sealed(["http/1.1"], preface)
    tap.ok(not got[1], "T15 and HTTP/2 behind ALPN http/1.1", got)
    got = sealed(["spdy/1"], h1)
    tap.ok(got == (None, b""), "an ALPN that nobody speaks ends the handshake", got)
    with socket.create_connection((NEAR, port), timeout=5) as sock:
        sock.sendall(h1)
        try:
            said = sock.recv(100)
        except ConnectionError:
            said = b""
        tap.ok(b"HTTP" not in said, "G17 plain HTTP gets no answer there", said)


# --- gRPC ---


def outcome(message):
    """grpc-status, parley-reason and whether it came in one section without a body."""
    first = message.head()
    status = first.get("grpc-status") or message.fields().get("grpc-status")
    bare = len(message.heads) == 1 and message.ended and not message.body
    return first.get(":status"), status, first.get("parley-reason"), bare


def test_grpc(tap, apps):
    for name, app in (("rpc", apps.rpc), ("near-rpc", apps.near_rpc)):
        c = to(name)
        m = c.answer(c.request(rpc("/rpc"), b"\0\0\0\0\1x"))
        end = m.fields()
        good = m.body == b"\0\0\0\0\1x" and end.get("grpc-message") == "no such row"
        tap.ok(good and end.get("grpc-status") == "5", f"status and message pass, {name}", m.heads)
        m = c.answer(c.request(rpc("/rpc-bare"), b""))
        tap.ok(outcome(m) == ("200", "16", None, True), f"trailers only pass, {name}", m.heads)
        m = c.answer(c.request(rpc("/deaf", ("grpc-timeout", "1500m")), b""))
        good = outcome(m)[1] == "4" and outcome(m)[3]
        tap.ok(good, f"a deadline, {name}", vars(m))
        left = app.calls[-1].field("grpc-timeout") or ""
        good = left.endswith("m") and 0 < int(left[:-1]) <= 1500
        tap.ok(good, f"the application was told what is left of it, {name}", left)
        gone = wait_for(lambda: app.calls[-1].message.reset is not None, 5)
        tap.ok(gone, f"and that nobody waits any more, {name}")
        for odd in ("99999999999H", "-1S", "1X"):
            m = c.answer(c.request(rpc("/rpc", ("grpc-timeout", odd)), b"\xff\xff\xff\xff\xff"))
            good = m.fields().get("grpc-status") == "5"
            tap.ok(good, f"F07 a timeout of {odd} is ignored, {name}", m.heads)
        c.close()
    for name, want in (
        ("shut", ("200", "7", "denied_default", True)),
        ("gone", ("200", "14", None, True)),
    ):
        c = to(name)
        m = c.answer(c.request(rpc("/x"), b"\0\0\0\0\0"))
        got = outcome(m)
        good = got[:2] == want[:2] and got[3] and (want[2] or got[2]) == got[2] and got[2]
        tap.ok(good, f"the mesh's own answer is trailers only, {name}", m.heads)
        m = c.answer(c.request(post("/x"), b""))
        tap.ok(m.status() in (403, 503), f"other calls get an HTTP status, {name}", m.heads)
        c.close()
    c = to("rpc")
    s = c.request(rpc("/deaf"), b"")
    wait_for(lambda: apps.rpc.calls[-1].path() == "/deaf", 5)
    call = apps.rpc.calls[-1]
    c.send(h2.frame(h2.RST, 0, s, h2.CANCEL.to_bytes(4, "big")))
    gone = wait_for(lambda: call.message.reset == h2.CANCEL, 5)
    tap.ok(gone, "a cancelled call is cancelled at the application", call.message.reset)
    c.close()


def test_grpc_telemetry(tap, node):
    """What test_grpc has called, as /metrics and the access log tell it."""
    argv = ["curl", "-s", "--unix-socket", os.path.join(node.root, "run/parley/parley.sock")]
    text = subprocess.run([*argv, "http://p/metrics"], capture_output=True, text=True).stdout
    line = (
        'parley_grpc_responses_total{direction="outbound",service="web",peer="%s",grpc_status="%s"}'
    )
    for peer, status in (("rpc", "5"), ("rpc", "16"), ("rpc", "4"), ("rpc", "1"), ("shut", "7")):
        tap.ok(
            line % (peer, status) in text, f"{peer} ended with {status} in /metrics", text[-2000:]
        )
    calls = [json.loads(row) for row in node.said().splitlines() if '"proto":"grpc"' in row]
    codes = {(row["peer"], row["code"], row["grpc_status"]) for row in calls if "code" in row}
    want = {("rpc", 200, 5), ("rpc", 200, 16), ("rpc", 200, 4), ("shut", 200, 7)}
    tap.ok(want <= codes, "and in the access log", sorted(codes))


# --- tunnels, streams of events ---


def h1_websocket(name, path):
    sock = socket.create_connection((NEAR, SERVICES[name][3]), timeout=5)
    head = f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    sock.sendall((head + f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n").encode())
    return sock, *read_head(sock)


def test_websocket(tap, apps):
    connect = h2.get("/script/handshake", (":protocol", "websocket"), method="CONNECT")
    connect += [("sec-websocket-version", "13")]
    for name in ("old", "near-old"):
        sock, head, rest = h1_websocket(name, "/script/handshake")
        good = head.startswith("http/1.1 101") and ACCEPT.lower() in head
        tap.ok(good, f"an HTTP/1.1 client switches, application HTTP/1.1, {name}", head)
        sock.sendall(b"ping")
        got = rest + read_exactly(sock, 4 - len(rest))
        sock.shutdown(socket.SHUT_WR)
        tap.ok(got == b"ping" and read_exactly(sock, 4) == b"bye", f"bytes both ways, {name}", got)
        sock.close()
        c = to(name)
        s = c.request(connect, end=False)
        m = c.streams[s]
        c.wait(lambda: m.heads)
        good = m.status() == 200 and "sec-websocket-accept" not in m.head()
        tap.ok(good, f"an HTTP/2 client switches, application HTTP/1.1, {name}", m.heads)
        c.data(s, b"ping")
        c.wait(lambda: len(m.body) >= 4)
        c.data(s, b"", end=True)
        c.answer(s)
        tap.ok(m.body == b"pingbye" and m.ended, f"bytes and ends both ways, {name}", m.body)
        s = c.request(h2.get("/plain", (":protocol", "websocket"), method="CONNECT"), end=False)
        m = c.answer(s)
        good = m.status() == 200 and m.body == b"GET /plain\n"
        tap.ok(good, f"an upgrade that is declined is an answer, {name}", m.heads)
        liar = h2.get("/script/websocket", (":protocol", "websocket"), method="CONNECT")
        m = c.answer(c.request(liar, end=False))
        tap.ok(
            m.reset is not None, f"a server that did not read the key is refused, {name}", m.heads
        )
        c.close()
    sock, head, rest = h1_websocket("new", "/ws")
    good = head.startswith("http/1.1 101") and ACCEPT.lower() in head
    tap.ok(good, "an HTTP/1.1 client switches, application HTTP/2", head)
    sock.sendall(b"ping")
    got = rest + read_exactly(sock, 4 - len(rest))
    tap.ok(got == b"ping", "bytes both ways", got)
    fields = dict(apps.upgrades[-1].message.heads[0])
    good = fields.get(":method") == "CONNECT" and "sec-websocket-key" not in fields
    tap.ok(good, "it is an extended CONNECT without a key", fields)
    sock.close()
    gone = wait_for(lambda: apps.upgrades[-1].message.reset is not None, 5)
    ended = apps.upgrades[-1].message.ended
    tap.ok(gone or ended, "the application learns that the client has gone")
    c = to("new")
    s = c.request(connect, end=False)
    m = c.streams[s]
    c.wait(lambda: m.heads)
    c.data(s, b"ping")
    c.wait(lambda: len(m.body) >= 4)
    c.data(s, b"", end=True)
    c.answer(s)
    tap.ok(m.body == b"pingbye" and m.ended, "an HTTP/2 client, application HTTP/2", m.heads)
    c.close()
    c = to("rpc")
    m = c.answer(c.request(connect, end=False))
    good = m.status() == 501 and m.head().get("parley-reason") == "not_implemented"
    tap.ok(good, "an application without extended CONNECT", m.heads)
    m = c.answer(
        c.request([(":method", "CONNECT"), (":authority", "169.254.169.254:80")], end=False)
    )
    tap.ok(m.status() == 405, "F05 CONNECT is refused", m.heads)
    foo = h2.get("/", (":protocol", "foo"), method="CONNECT")
    m = c.answer(c.request(foo, end=False))
    tap.ok(m.status() == 501, "F06 :protocol foo is refused", m.heads)
    c.close()


def test_connect(tap, apps):
    names = ("proxy-old", "near-proxy", "proxy-new")
    proxies = {name: (NEAR, SERVICES[name][3]) for name in names}
    h2_tunnels.test_connect(tap, proxies, apps.new, apps.old)


def test_events(tap, apps):
    """The application writes an event only when the one before has been seen by the client."""
    for name, app in (("old", apps.old), ("near-old", apps.near_old)):
        for version in (1, 2):
            seen = 0
            app.step = threading.Semaphore(1)
            if version == 1:
                sock = socket.create_connection((NEAR, SERVICES[name][3]), timeout=5)
                sock.sendall(b"GET /script/events HTTP/1.1\r\nHost: a\r\n\r\n")
                data = b""
                while seen < 3:
                    got = sock.recv(4096)
                    if not got:
                        break
                    data += got
                    if data.count(b"data: ") > seen:
                        seen += 1
                        app.step.release()
                sock.close()
            else:
                c = to(name)
                m = c.streams[c.request(h2.get("/script/events"))]
                while seen < 3 and c.wait(lambda: m.body.count(b"data: ") > seen, 5):
                    seen += 1
                    app.step.release()
                c.close()
            tap.ok(seen == 3, f"events one by one, HTTP/{version} client, {name}", seen)


def test_drain(tap, apps, node):
    c = to("new")
    s = c.request(h2.get("/slow"))
    wait_for(lambda: apps.new.calls[-1].path() == "/slow", 5)
    argv = [binary(), "drain", "--timeout", "30s", "--root", node.root]
    drain = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    told = c.wait(lambda: c.goaway is not None)
    tap.ok(told and c.goaway[1] == 0, "a host that drains says GOAWAY to its clients", c.goaway)
    apps.gate.set()
    m = c.answer(s)
    tap.ok(m.body == b"slow", "what was in flight is answered", vars(m))
    tap.ok(c.over(), "then the connection ends")
    drain.wait(timeout=60)
    c.close()


def run_all(tap, folder):
    one, two = Node(folder, 1), Node(folder, 2)
    apps = Apps()
    try:
        certificate(folder)
        if not boot(tap, one, two, config_of(NEAR, folder), config_of(FAR, folder)):
            return

        def ready():
            c = to("new")
            try:
                return c.answer(c.request(h2.get("/ready"))).status() == 200
            finally:
                c.close()

        if not tap.ok(wait_for(ready, 20), "a request passes", one.said() + two.said()):
            return
        rows = two.parley("services", "--json").stdout
        tap.ok('"grpc"' in rows and '"h2"' in rows, "the protocol of a service is gossiped", rows)

        def learned():
            rows = json.loads(one.parley("services", "new", "--json").stdout)["data"]
            return [(row["protocol"], row["protocol_from"]) for row in rows] == [("h2", "learned")]

        told = wait_for(learned, 20)
        tap.ok(told, "one that nobody wrote down is learned and gossiped", two.said())
        for test in (test_streams, test_translation, test_limits):
            test(tap, apps)
        test_tls(tap, folder)
        for test in (test_grpc, test_websocket, test_connect, test_events):
            test(tap, apps)
        test_grpc_telemetry(tap, one)
        test_drain(tap, apps, one)
        tap.ok(one.alive() and two.alive(), "both hosts live", one.said() + two.said())
    finally:
        for node in (one, two):
            node.stop()
        apps.close()


if __name__ == "__main__":
    sys.exit(main(run_all, "parley-h2-"))
