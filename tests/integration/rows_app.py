"""The application behind the mesh in the tests of bad input: it records every request it receives,
so that a smuggled one shows, and answers as badly as a case asks for.

Standard library only.
"""

import base64
import hashlib
import socket
import struct
import threading
import time

from acceptor import Acceptor

MARKER = "/marker/"


class Request:
    def __init__(self, method, target, fields, body):
        self.method = method
        self.target = target
        self.fields = fields  # (lower-case name, value) in order
        self.body = body

    def get(self, name):
        return [v for n, v in self.fields if n == name]

    def __repr__(self):
        return f"{self.method} {self.target[:80]} body={self.body[:40]!r}"


class App(Acceptor):
    """An HTTP/1.1 server that remembers. GET /script/NAME is answered by SCRIPTS[NAME]."""

    def __init__(self, host, port):
        self.lock = threading.Lock()
        self.seen = []
        self.step = threading.Semaphore(0)
        super().__init__((host, port), backlog=1024)

    def mark(self):
        with self.lock:
            return len(self.seen)

    def since(self, mark):
        with self.lock:
            return [r for r in self.seen[mark:] if not r.target.startswith(MARKER)]

    def serve(self, conn):
        reader = conn.makefile("rb")
        try:
            while self.exchange(conn, reader):
                pass
        except (OSError, ValueError, OverflowError, MemoryError):
            pass  # what no parley may send us
        finally:
            try:
                reader.close()
                conn.close()
            except OSError:
                pass

    def exchange(self, conn, reader):
        head = read_head(reader)
        if head is None:
            return False
        line, fields = head
        method, target, _ = line.split(" ", 2)
        request = Request(method, target, fields, b"")
        script = target[len("/script/") :] if target.startswith("/script/") else None
        if script in BEFORE_BODY:
            self.remember(request)
            return BEFORE_BODY[script](conn, request)
        if "100-continue" in "".join(request.get("expect")).lower():
            conn.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.body = read_body(reader, request.fields)
        self.remember(request)
        if script == "events":
            return self.send_events(conn)
        if method == "CONNECT":
            return serve_connect(conn, target, reader)
        if script in SCRIPTS:
            return SCRIPTS[script](conn, request, reader)
        text = f"{method} {target}\n".encode()
        if method == "HEAD":
            text = b""
        conn.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(text) + text)
        return True

    def send_events(self, conn):
        """Three server-sent events, each when `step` allows it."""
        conn.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        for i in range(3):
            if not self.step.acquire(timeout=10):
                break
            conn.sendall(b"data: %d\n\n" % i)
        return False

    def remember(self, request):
        with self.lock:
            self.seen.append(request)


def read_head(reader):
    line = reader.readline(70000)
    if not line:
        return None
    fields = []
    while True:
        field = reader.readline(70000)
        if field in (b"\r\n", b""):
            break
        name, _, value = field.rstrip(b"\r\n").decode("latin-1").partition(":")
        fields.append((name.lower(), value.strip()))
    return line.rstrip(b"\r\n").decode("latin-1"), fields


def read_body(reader, fields):
    get = dict(fields).get
    if "chunked" in (get("transfer-encoding") or ""):
        body = b""
        while True:
            size = int(reader.readline(1000).split(b";")[0], 16)
            if size == 0:
                break
            body += reader.read(size)
            reader.readline(10)
        while True:
            trailer = reader.readline(70000)
            if trailer in (b"\r\n", b""):
                return body
            name, _, value = trailer.rstrip(b"\r\n").decode("latin-1").partition(":")
            fields.append(("trailer:" + name.lower(), value.strip()))
    length = get("content-length")
    return reader.read(int(length)) if length else b""


def script_bytes(data, keep=False):
    def run(conn, _request, _reader=None):
        conn.sendall(data)
        return keep

    return run


def script_late_response(conn, _request, _reader):
    """C05: a second response on a connection that lies in a pool."""
    conn.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    time.sleep(0.05)
    conn.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\npoisoned")
    return True


def script_interims(conn, _request, _reader):
    for _ in range(100):
        conn.sendall(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 100)
    conn.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    return False


def script_few_interims(conn, _request, _reader):
    conn.sendall(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 3)
    conn.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    return True


def serve_connect(conn, target, reader):
    """As a proxy would, but that it only echoes; what it says of a length means nothing."""
    if not target.startswith("open."):
        conn.sendall(b"HTTP/1.1 407 No\r\nproxy-authenticate: Basic\r\ncontent-length: 2\r\n\r\nno")
        return True
    conn.sendall(b"HTTP/1.1 200 Connected\r\ncontent-length: 2\r\n\r\n")
    while True:
        data = reader.read1(4096)
        if not data:
            conn.sendall(b"bye")
            return False
        conn.sendall(data)


def script_websocket(conn, _request, reader):
    """Switches and echoes until the other side has ended."""
    conn.sendall(b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
    while True:
        data = reader.read1(4096)
        if not data:
            conn.sendall(b"bye")
            return False
        conn.sendall(data)


def script_handshake(conn, request, reader):
    """As a WebSocket server would: the answer proves that the key was read."""
    key = "".join(request.get("sec-websocket-key")) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    accept = base64.b64encode(hashlib.sha1(key.encode()).digest())
    conn.sendall(
        b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
        + b"sec-websocket-accept: "
        + accept
        + b"\r\n\r\n"
    )
    while True:
        data = reader.read1(4096)
        if not data:
            conn.sendall(b"bye")
            return False
        conn.sendall(data)


def script_early(conn, _request):
    """A35: an answer long before the request's body has ended; the connection stays."""
    conn.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nearly")
    time.sleep(0.3)
    return False


def script_early_reset(conn, _request):
    """C11: an answer, then a reset."""
    conn.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nearly")
    time.sleep(0.1)
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


OK2 = b"HTTP/1.1 200 OK\r\n"
BEFORE_BODY = {"early": script_early, "early-reset": script_early_reset}
SCRIPTS = {
    "cl-te": script_bytes(
        OK2 + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "two-cl": script_bytes(OK2 + b"content-length: 2\r\ncontent-length: 3\r\n\r\nokk"),
    "cl-x": script_bytes(OK2 + b"content-length: x\r\n\r\nok"),
    "cl-negative": script_bytes(OK2 + b"content-length: -2\r\n\r\nok"),
    "upgrade-200": script_bytes(
        OK2 + b"connection: upgrade\r\nupgrade: websocket\r\ncontent-length: 2\r\n\r\nok", True
    ),
    "two-responses": script_bytes(
        OK2 + b"content-length: 2\r\n\r\nok" + OK2 + b"content-length: 8\r\n\r\npoisoned", True
    ),
    "late-response": script_late_response,
    "interims": script_interims,
    "few-interims": script_few_interims,
    "204-body": script_bytes(b"HTTP/1.1 204 No Content\r\ncontent-length: 8\r\n\r\npoisoned", True),
    "304-body": script_bytes(b"HTTP/1.1 304 Not Modified\r\n\r\npoisoned", True),
    "head-body": script_bytes(OK2 + b"content-length: 8\r\n\r\npoisoned", True),
    "bomb": script_bytes(OK2 + b"x: " + b"a" * 200000 + b"\r\n\r\n"),
    "many": script_bytes(OK2 + b"x: a\r\n" * 5000 + b"\r\n"),
    "nul": script_bytes(OK2 + b"x: a\0b\r\ncontent-length: 2\r\n\r\nok"),
    "fold": script_bytes(OK2 + b"x: a\r\n b\r\ncontent-length: 2\r\n\r\nok"),
    "status": script_bytes(b"HTTP/1.1 2x0 OK\r\ncontent-length: 2\r\n\r\nok"),
    "garbage": script_bytes(b"SSH-2.0-OpenSSH\r\n"),
    "short": script_bytes(OK2 + b"content-length: 100\r\n\r\nshort"),
    "chunk-cut": script_bytes(OK2 + b"transfer-encoding: chunked\r\n\r\n5\r\nshort\r\n"),
    "chunk-bad": script_bytes(OK2 + b"transfer-encoding: chunked\r\n\r\nzz\r\nshort\r\n"),
    "large": script_bytes(OK2 + b"content-length: 4194304\r\n\r\n" + bytes(4194304)),
    "websocket": script_websocket,
    "handshake": script_handshake,
    "spoof": script_bytes(
        OK2 + b"parley-reason: denied_rule\r\nparley_request_id: x\r\ncontent-length: 2\r\n\r\nok",
        True,
    ),
}
