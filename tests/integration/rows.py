"""Bad input over raw sockets: the rows A, B, C, F and G of the threat tables, as data.

A case is bytes for an outbound HTTP/1.1 listener of parley and what must come of them. The control
application behind the mesh records every request it receives, so that a smuggled one shows, and
answers as badly as the C rows ask for. After each case a clean request on a new connection must get
its own answer.

Used by run_rows.py, which boots the mesh. Standard library only.
"""

import re
import socket
import struct
import threading
import time

MARKER = "/marker/"
SMUGGLED = b"smuggled"
HIDDEN = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


# --- The control application ---


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


class App:
    """An HTTP/1.1 server that remembers. GET /script/NAME is answered by SCRIPTS[NAME]."""

    def __init__(self, host, port):
        self.lock = threading.Lock()
        self.seen = []
        self.listener = socket.create_server((host, port), backlog=128)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(conn,), daemon=True).start()

    def close(self):
        self.listener.close()

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
        if script in SCRIPTS:
            return SCRIPTS[script](conn, request, reader)
        text = f"{method} {target}\n".encode()
        if method == "HEAD":
            text = b""
        conn.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(text) + text)
        return True

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


def script_websocket(conn, _request, reader):
    """Switches and echoes until the other side has ended."""
    conn.sendall(b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
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
    "websocket": script_websocket,
    "spoof": script_bytes(
        OK2 + b"parley-reason: denied_rule\r\nparley_request_id: x\r\ncontent-length: 2\r\n\r\nok",
        True,
    ),
}


# --- The client ---


class Response:
    def __init__(self, status, fields, body, whole):
        self.status = status
        self.fields = fields
        self.body = body
        self.whole = whole  # the body ended as its framing says

    def get(self, name):
        return [v for n, v in self.fields if n == name]


def parse_response(data, head_request):
    """The first final response of `data` and what follows it; None when its head is incomplete."""
    while True:
        head, sep, rest = data.partition(b"\r\n\r\n")
        if not sep:
            return None, data
        lines = head.decode("latin-1").split("\r\n")
        if not re.match(r"HTTP/1\.1 [0-9]{3}( |$)", lines[0]):
            raise ValueError(f"no status line: {lines[0]!r}")
        status = int(lines[0].split(" ")[1])
        if status >= 200 or status == 101:
            break
        data = rest
    fields = []
    for line in lines[1:]:
        name, _, value = line.partition(":")
        fields.append((name.lower(), value.strip()))
    get = dict(fields).get
    if head_request or status in (101, 204, 304):
        return Response(status, fields, b"", True), rest
    if "chunked" in (get("transfer-encoding") or ""):
        body = b""
        while True:
            size, sep, after = rest.partition(b"\r\n")
            if not sep:
                return Response(status, fields, body, False), b""
            n = int(size, 16)
            if len(after) < n + 2:
                return Response(status, fields, body, False), b""
            if n == 0:
                _, sep, after = rest.partition(b"\r\n\r\n")
                return Response(status, fields, body, bool(sep)), after
            body += after[:n]
            rest = after[n + 2 :]
    n = int(get("content-length") or 0)
    return Response(status, fields, rest[:n], len(rest) >= n), rest[n:]


def converse(address, parts, head_request=False, want_close=False, limit=5.0):
    """Sends `parts` (a number is a pause in seconds) and reads. Gives (response or None, what came
    behind it, whether the connection was closed)."""
    conn = socket.create_connection(address, timeout=limit)
    conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    data, closed = b"", False
    try:
        for part in parts:
            if isinstance(part, float):
                time.sleep(part)
            else:
                conn.sendall(part)
    except OSError:
        pass  # refused early; its answer may still be there
    end = time.monotonic() + limit
    while time.monotonic() < end and not closed:
        response, _ = parse_response(data, head_request)
        done = response is not None and response.whole
        conn.settimeout(0.1 if done and not want_close else max(0.01, end - time.monotonic()))
        try:
            got = conn.recv(65536)
        except socket.timeout:
            if done:
                break
            continue
        except OSError:
            closed = True
            break
        closed = got == b""
        data += got
    conn.close()
    response, rest = parse_response(data, head_request)
    return response, rest, closed


# --- The table ---


class Case:
    """`status`: allowed ones. `close`: the connection ends behind the answer (400C). `reached`: what
    the application may have seen, as "METHOD target"; [] when nothing may arrive, None when that is
    up to `check`. `check(response, rest, seen)` gives a complaint or None. `service`: the listener.
    `no_answer`: a close without an answer is as good. `near`: as good on the path in the process."""

    def __init__(self, id, what, parts, status, **kw):
        self.id = id
        self.what = what
        self.parts = parts if isinstance(parts, list) else [parts]
        self.status = status if isinstance(status, set) else {status}
        self.close = kw.pop("close", False)
        self.reached = kw.pop("reached", None)
        self.check = kw.pop("check", None)
        self.service = kw.pop("service", "api")
        self.no_answer = kw.pop("no_answer", False)
        self.near = kw.pop("near", True)
        assert not kw, kw

    def run(self, address, app):
        """A complaint, or None."""
        mark = app.mark()
        head_request = self.parts[0][:5] == b"HEAD "
        try:
            response, rest, closed = converse(address, self.parts, head_request, self.close)
        except (ValueError, OSError) as e:
            return f"no HTTP came back: {e!r}"
        seen = app.since(mark)
        for r in seen:
            if r.target.startswith("/smuggled") or r.method == "SMUGGLED":
                return f"the application saw a smuggled request: {r}"
        if response is None:
            if not (self.no_answer and closed):
                return "no answer" + (", closed" if closed else "")
        elif response.status not in self.status:
            return f"status {response.status}, not {sorted(self.status)}"
        if self.close and not closed:
            return "the connection was left open"
        if self.close and rest:
            return f"more came behind the refusal: {rest[:80]!r}"
        if self.reached is not None and [f"{r.method} {r.target}" for r in seen] != self.reached:
            return f"the application saw {seen}, not {self.reached}"
        return self.check(response, rest, seen) if self.check and response else None


def P(*lines, body=b""):
    return b"POST / HTTP/1.1\r\nHost: a\r\n" + b"".join(x + b"\r\n" for x in lines) + b"\r\n" + body


def G(*lines, path=b"/", method=b"GET"):
    head = method + b" " + path + b" HTTP/1.1\r\nHost: a\r\n"
    return head + b"".join(x + b"\r\n" for x in lines) + b"\r\n"


def refused(id, what, parts, status={400}, **kw):
    return Case(id, what, parts, status, close=True, reached=[], **kw)


TE = b"Transfer-Encoding: chunked"


def one_body(body):
    """Exactly one request arrived, with exactly this body."""

    def check(_response, _rest, seen):
        if len(seen) != 1 or seen[0].body != body:
            return f"the application saw {seen}"
        return None

    return check


def refused_or(check):
    """A 400-class refusal that nothing survived, or an answer for which `check` holds."""

    def either(response, rest, seen):
        if response.status >= 400 and response.status != 404:
            return f"refused, but the application saw {seen}" if seen else None
        return check(response, rest, seen)

    return either


def no_field(*names):
    def check(_response, _rest, seen):
        for r in seen:
            for n, v in r.fields:
                if n.replace("trailer:", "").replace("_", "-") in names:
                    return f"the application got {n}: {v}"
        return None if seen else "the application saw nothing"

    return check


def rows_a():
    smuggle = b"0\r\n\r\n" + HIDDEN
    yield refused("A01", "CL and TE", P(b"Content-Length: %d" % len(smuggle), TE, body=smuggle))
    inner = b"5c\r\n" + HIDDEN
    yield refused("A02", "TE and a short CL", P(b"Content-Length: 4", TE, body=inner))
    yield refused("A03", "two CLs that differ", P(b"Content-Length: 1", b"Content-Length: 0"))
    equal = {200, 400}
    for what, lines in [
        ("CL list", [b"Content-Length: 1, 1"]),
        ("two equal CLs", [b"Content-Length: 1", b"Content-Length: 1"]),
    ]:
        yield Case(
            "A05", what, P(*lines, body=b"x" + HIDDEN), equal, check=refused_or(one_body(b"x"))
        )
    for v in [b"+1", b"-1", b"1 1"]:
        yield refused("A06", f"CL {v}", P(b"Content-Length: " + v, body=b"x"))
    for v in [b"1_0", b"0x10", b"1e1", b"1.0", b"1Z"]:
        yield refused("A07", f"CL {v}", P(b"Content-Length: " + v, body=b"x" * 16))
    yield refused("A09", "empty CL", P(b"Content-Length:"))
    yield refused("A09", "empty CL before one", P(b"Content-Length:", b"Content-Length: 1", body=b"x"))
    yield refused("A09", "empty CL behind one", P(b"Content-Length: 1", b"Content-Length:", body=b"x"))
    for v in [b"18446744073709551617", b"18446744073709551616", b"9223372036854775808", b"9" * 30]:
        yield refused("A10", f"CL {v.decode()}", P(b"Content-Length: " + v, body=b"x"), {400, 413})
    yield Case(
        "A12",
        "CL 010",
        P(b"Content-Length: 010", b"Connection: close", body=b"0123456789"),
        {200, 400},
        check=refused_or(
            lambda _p, _r, seen: one_body(b"0123456789")(None, None, seen)
            or (None if seen[0].get("content-length") == ["10"] else "not sent on as 10")
        ),
    )
    odd = {400, 501}
    for v in [b",chunked", b"chunked,", b"xchunked", b"chunk", b'"chunked"', b"chunked-x"]:
        id = "A13" if b"," in v else "A16"
        yield refused(id, f"TE {v}", P(b"Transfer-Encoding: " + v, body=b"0\r\n\r\n"), odd)
    yield refused("A15", "TE twice", P(TE, TE, body=b"0\r\n\r\n"))
    yield refused("A16", "TE identity", P(b"Transfer-Encoding: identity", body=b"0\r\n\r\n"), odd)
    yield refused("A17", "TE with q", P(b"Transfer-Encoding: chunked;q=1", body=b"0\r\n\r\n"), odd)
    for v in [b"\x0bchunked", b"\x0cchunked", b"chunked\x00", b"\xa0chunked"]:
        yield refused("A18", f"TE {v}", P(b"Transfer-Encoding: " + v, body=b"0\r\n\r\n"), odd)
    yield refused(
        "A19", "HTTP/1.0 with TE", b"POST / HTTP/1.0\r\nHost: a\r\n" + TE + b"\r\n\r\n0\r\n\r\n"
    )
    yield refused("A20", "TE folded", P(b"Transfer-Encoding:\r\n chunked", body=b"0\r\n\r\n"))
    yield Case(
        "A21",
        "TE with an underscore beside CL",
        P(b"Transfer_Encoding: chunked", b"Content-Length: 5", b"Connection: close", body=b"0\r\n\r\n"),
        {200, 400},
        check=refused_or(no_field("transfer-encoding")),
    )
    for v in [b"0x1", b"+1", b"-1", b"1_0", b" 1", b"1 ", b"", b"g", b"1\t"]:
        yield refused("A22", f"chunk size {v}", P(TE, body=v + b"\r\nx\r\n0\r\n\r\n"), no_answer=True)
    for v in [b"1" * 17, b"FFFFFFFFFFFFFFFF", b"10000000000000000"]:
        yield refused(
            "A23", f"chunk size {v.decode()}", P(TE, body=v + b"\r\nx\r\n"), {400, 413}, no_answer=True
        )
    yield refused("A24", "a MiB of zeros as chunk size", P(TE, body=b"0" * (1 << 20)), no_answer=True)
    for id, what, body in [
        ("A25", "chunk line ended by LF", b"1\nx\r\n0\r\n\r\n"),
        ("A25", "chunk data ended by LF", b"1\r\nx\n0\r\n\r\n"),
        ("A26", "LF in an extension", b"1;a\nb\r\nx\r\n0\r\n\r\n"),
        ("A26", "CR in an extension", b"1;a\rb\r\nx\r\n0\r\n\r\n"),
        ("A26", "two CR before an extension", b"1\r\r;ab\r\nx\r\n0\r\n\r\n"),
        ("A28", "chunk spill", b"1\r\nZZ\r\n0\r\n\r\n"),
        ("A29", "one extension of 64 KiB", b"1;" + b"a" * 65536 + b"\r\nx\r\n0\r\n\r\n"),
        ("A29", "many extensions", (b"1;" + b"a" * 1024 + b"\r\nx\r\n") * 64 + b"0\r\n\r\n"),
    ]:
        # The head may be on its way before the body proves bad: then it is cut, never completed.
        yield Case(id, what, P(TE, body=body), {400, 413, 502}, close=True, no_answer=True)
    framing = b"Content-Length: 9\r\nTransfer-Encoding: x\r\nHost: b\r\n"
    identity = b"Authorization: z\r\nparley-peer: spiffe://x/service/y\r\nparley_peer: y\r\n"

    def clean_trailers(_response, _rest, seen):
        bad = ("content-length", "transfer-encoding", "host", "authorization", "parley-peer")
        names = [n for n, _ in seen[0].fields] if len(seen) == 1 else ["?"]
        for n in names:
            if n.startswith("trailer:") and n[8:].replace("_", "-") in bad:
                return f"the application got the {n}"
        if names.count("host") != 1 or seen[0].get("host") != ["a"] or seen[0].get("authorization"):
            return "a trailer was merged into the head"
        return None

    for what, trailers, allowed in [
        ("that identify", identity, {200}),
        ("that frame", framing, {200, 400}),
    ]:
        yield Case(
            "A30",
            f"trailers {what}",
            P(TE, body=b"0\r\n" + trailers + b"x-ok: 1\r\n\r\n"),
            allowed,
            check=refused_or(clean_trailers),
        )
    for method in [b"GET", b"HEAD", b"OPTIONS"]:
        yield Case(
            "A31",
            f"{method.decode()} whose body is a request",
            G(b"Content-Length: %d" % len(HIDDEN), method=method) + HIDDEN,
            {200, 400},
            check=refused_or(one_body(HIDDEN)),
        )
    for v in [b"y 100-continue", b"foo"]:
        yield refused("A33", f"Expect {v}", P(b"Expect: " + v, b"Content-Length: 1", body=b"x"), {400, 417})
    hidden = b"x" * 64 + HIDDEN
    early = b"POST /script/early HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (len(hidden) + 50)
    yield Case("A35", "answered before its body ends", [early + b"x" * 10, 0.1, hidden], 200)


def rows_b():
    yield refused("B01", "empty name", G(b": x"))
    yield refused("B01", "empty name first", b"GET / HTTP/1.1\r\n: x\r\nHost: a\r\n\r\n")
    long = b"Content-Length0" + b"a" * 255

    def whole_name(_response, _rest, seen):
        if len(seen) != 1 or seen[0].body != b"12345":
            return f"the application saw {seen}"
        return None if seen[0].get(long.decode().lower()) == ["x"] else "the name was cut"

    yield Case(
        "B02",
        "a name of 270 bytes that begins like CL",
        P(long + b": x", b"Content-Length: 5", body=b"12345"),
        {200, 400, 431},
        check=refused_or(whole_name),
    )
    for n in [255, 256, 257, 65535, 65536]:
        name = b"n" * n

        def kept(_response, _rest, seen, name=name.decode()):
            return None if len(seen) == 1 and seen[0].get(name) == ["v"] else "the name was cut"

        yield Case("B03", f"a name of {n} bytes", G(name + b": v"), {200, 400, 431}, check=refused_or(kept))
    yield refused("B04", "space before the colon", P(b"Content-Length : 1", body=b"x"))
    for b in [b"\x85", b"\xa0", b"\xff", b"(", b'"', b"/", b"\t", b" ", b"\0", b"\x7f", b"@", b"{"]:
        yield refused("B05", f"byte {b} in a name", G(b"a" + b + b"b: x"))
    yield refused("B06", "NUL in a value", G(b"x: a\0b"))
    for b in [b"\x01", b"\x0b", b"\x1f", b"\x7f"]:
        yield refused("B06", f"byte {b} in a value", G(b"x: a" + b + b"b"))
    yield refused("B07", "bare CR in a value", G(b"x: a\rb"))
    yield refused("B07", "bare CR before a hidden field", G(b"x: a\rTransfer-Encoding: chunked"))
    yield refused("B09", "folded line", G(b"x: a\r\n b"))
    yield refused("B09", "folded with a tab", G(b"x: a\r\n\tb"))
    yield Case("B10", "LF alone", b"GET /lf HTTP/1.1\nHost: a\n\n", {200, 400})
    yield Case("B10", "LF LF at the end", b"GET /lf HTTP/1.1\r\nHost: a\n\r\n", {200, 400})
    yield refused("B12", "white space before the first field", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n")
    yield refused("B13", "no Host", b"GET / HTTP/1.1\r\n\r\n")
    for host in [b"a\r\nHost: a", b"a\r\nHost: b", b"a,b", b"a/b", b"u@a", b"a b", b"a:99999"]:
        yield refused("B14", f"Host {host}", b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
    for host in [b"", b"a:", b"a:0", b"a:1x", b"[::1", b"a..b", b".", b"a%2eb", b"a\\b"]:
        yield refused("B14", f"Host {host}", b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
    yield refused("B14", "bad Host beside an absolute target", b"GET http://a/ HTTP/1.1\r\nHost: a,b\r\n\r\n")
    for line in [b"GET *", b"GET admin", b"GET a:80", b"OPTIONS */x", b"GET ?x", b"GET https://a/"]:
        yield refused("B16", line.decode(), line + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    yield refused("B16", "CONNECT /", b"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", {400, 405})
    yield refused("B17", "fragment", G(path=b"/a#b"))
    for b in [b"\0", b"\x01", b"\t", b"\x0b", b"\x0c", b"\x1f", b"\x7f", b"\x80", b"\xff"]:
        yield refused("B18", f"byte {b} in the target", G(path=b"/a" + b + b"b"))
    yield refused("B18", "space in the target", G(path=b"/a b"), {400, 505})
    for v in [b"HTTP/1.32", b"HTTP/01.1", b"HTTP/1.", b"http/1.1", b"HTTP/3.0", b"HTTP/4294967297.1"]:
        yield refused("B19", v.decode(), b"GET / " + v + b"\r\nHost: a\r\n\r\n", {400, 505})
    yield refused("B20", "HTTP/0.9", b"GET /\r\n", {400, 505})
    yield refused("B20", "HTTP/0.9 with a field", b"GET /\r\nHost: a\r\n\r\n", {400, 505})
    yield refused("B22", 'method G=":<>', b'G=":<> / HTTP/1.1\r\nHost: a\r\n\r\n', {400, 501})
    yield Case("B22", "method get", G(method=b"get"), {400, 403, 501}, reached=[], service="only")
    yield refused("B23", "a value of 100 KiB", G(b"x: " + b"a" * 102400), {431})
    yield refused("B23", "5 000 fields", G(*[b"x%d: y" % i for i in range(5000)]), {431})
    yield refused("B23", "a cookie of 64 KiB", G(b"Cookie: a=" + b"b" * 65536), {431})
    yield refused("B24", "a target of 64 KiB", G(path=b"/" + b"a" * 65536), {414})
    yield refused("B25", "1 000 empty lines", b"\r\n" * 1000 + G())
    yield refused("B26", "HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 505})
    yield Case(
        "B27",
        "a field named by Connection",
        G(b"Connection: close, X-Auth", b"X-Auth: 1"),
        200,
        check=no_field("x-auth"),
    )


def script(name, method=b"GET", *lines):
    return G(*lines, path=b"/script/" + name.encode(), method=method)


def rows_c():
    for id, name in [
        ("C01", "cl-te"),
        ("C02", "two-cl"),
        ("C02", "cl-x"),
        ("C02", "cl-negative"),
        ("C06", "interims"),
        ("C08", "bomb"),
        ("C08", "many"),
        ("C08", "nul"),
        ("C08", "fold"),
        ("C08", "status"),
        ("C08", "garbage"),
    ]:
        yield Case(id, f"response: {name}", script(name), 502)
    yield Case("C06", "three interim responses", script("few-interims"), 200)
    upgrade = [b"Connection: upgrade", b"Upgrade: websocket"]

    def no_tunnel(response, rest, _seen):
        if response.get("upgrade"):
            return "Upgrade was passed on"
        return f"bytes were tunnelled: {rest[:60]!r}" if b"ok" in rest else None

    yield Case("C03", "200 to an upgrade", script("upgrade-200", b"GET", *upgrade), 200, check=no_tunnel)

    def unpoisoned(response, rest, _seen):
        return "foreign bytes came through" if b"poisoned" in response.body + rest else None

    for id, name in [("C05", "two-responses"), ("C05", "late-response")]:
        yield Case(id, f"response: {name}", script(name), {200, 502}, check=unpoisoned)
    yield Case("C07", "204 with a body", script("204-body"), {204, 502}, check=unpoisoned)
    yield Case("C07", "304 with a body", script("304-body"), {304, 502}, check=unpoisoned)
    yield Case("C07", "HEAD with a body", script("head-body", b"HEAD"), {200, 502}, check=unpoisoned)

    def aborted(response, _rest, _seen):
        return "a cut body looked whole" if response.status == 200 and response.whole else None

    for name in ["short", "chunk-cut", "chunk-bad"]:
        yield Case("C09", f"response: {name}", script(name), {200, 502}, no_answer=True, check=aborted)
    body = b"x" * 1000
    early = b"POST /script/early-reset HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + body
    yield Case(
        "C11",
        "an answer before the body, then a reset",
        early,
        {200, 502},
        check=lambda r, _rest, _s: (
            None if r.status == 502 or r.body == b"early" else f"the body was {r.body!r}"
        ),
    )


def rows_f():
    yield Case(
        "F01",
        "upgrade to h2c",
        G(
            b"Connection: Upgrade, HTTP2-Settings",
            b"Upgrade: h2c",
            b"HTTP2-Settings: AAMAAABkAAQAAP__",
        ),
        200,
        reached=["GET /"],
        check=no_field("upgrade", "http2-settings"),
    )
    yield Case(
        "F02",
        "an upgrade that the application does not take, a request behind it",
        [G(b"Connection: Upgrade", b"Upgrade: websocket", path=b"/plain") + HIDDEN.replace(SMUGGLED, b"behind")],
        200,
        check=lambda _r, _rest, seen: (
            None
            if [r.target for r in seen] in (["/plain"], ["/plain", "/behind"])
            else f"the application saw {seen}"
        ),
    )
    yield Case(
        "F04",
        "a WebSocket tunnel carries bytes",
        [script("websocket", b"GET", b"Connection: Upgrade", b"Upgrade: websocket"), 0.2, b"ping"],
        101,
        check=lambda _r, rest, _s: None if rest == b"ping" else f"came back: {rest!r}",
    )
    for target in [b"169.254.169.254:80", b"127.0.0.1:22", b"a:443"]:
        yield refused(
            "F05",
            f"CONNECT {target.decode()}",
            b"CONNECT " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n",
            {400, 405},
        )


def rows_g():
    for path in [
        b"/admin",
        b"//admin",
        b"/./admin",
        b"/x/../admin",
        b"/admin/",
        b"/admin%2f",
        b"/%61dmin",
        b"/admin;x",
        b"/\\admin",
        b"/admin%3bx",
        b"/;/admin",
        b"/x/..;/admin",
        b"/%2e/admin",
        b"/x/%2e%2e/admin",
        b"/admin%00",
    ]:
        yield Case("G01", f"denied path as {path.decode()}", G(path=path), {400, 403}, reached=[])
    for path, seen in [
        (b"/a/./b//c/../d", "GET /a/b/d"),
        (b"/%7Euser/%c3%a9?q=%2F..", "GET /~user/%C3%A9?q=%2F.."),
    ]:
        yield Case("G01", f"{path.decode()} is forwarded as judged", G(path=path), 200, reached=[seen])
    yield Case("G03", "a query behind a denied path", G(path=b"/admin?x"), 403, reached=[])
    yield refused("G03", "a fragment behind a denied path", G(path=b"/admin#f"))
    for host in [b"API", b"api.", b"api:443", b"Api.lab.:80", b"api.lab", b"[::1]", b"127.0.0.1:9"]:
        yield Case(
            "G04",
            f"Host {host.decode()}",
            b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n",
            200,
            near=False,
        )
    spoofs = [
        b"X-Forwarded-Client-Cert: By=spiffe://lab/service/admin",
        b"X-Forwarded-For: 127.0.0.1",
        b"Forwarded: for=127.0.0.1",
        b"parley-peer: spiffe://lab/service/admin",
        b"Parley-Peer: spiffe://lab/service/admin",
        b"parley_peer: spiffe://lab/service/admin",
        b"parley-request-id: 00000000000000000000000000",
        b"parley-anything: 1",
        b"Client-Cert: :MII=:",
    ]

    def rewritten(_response, _rest, seen):
        if len(seen) != 1:
            return f"the application saw {seen}"
        r = seen[0]
        if r.get("parley-peer") != ["spiffe://lab/service/web"]:
            return f"parley-peer: {r.get('parley-peer')}"
        if len(r.get("parley-request-id")) != 1 or r.get("parley-request-id")[0].startswith("0000"):
            return f"parley-request-id: {r.get('parley-request-id')}"
        for n in ("x-forwarded-client-cert", "forwarded", "client-cert", "parley_peer", "parley-anything"):
            if r.get(n):
                return f"{n} came through"
        return "x-forwarded-for came through" if "127.0.0.1" == r.get("x-forwarded-for") else None

    yield Case("G06", "identity headers of a client", G(*spoofs), 200, check=rewritten)
    yield Case(
        "G08",
        "mesh headers of an application's answer",
        script("spoof"),
        200,
        check=lambda r, _rest, _s: (
            "parley-reason came through"
            if r.get("parley-reason") or r.get("parley_request_id")
            else None if len(r.get("parley-request-id")) == 1 else "parley-request-id is not there once"
        ),
    )
    for host in [b"only", b"only.lab", b"web.lab", b"ONLY.lab.:80"]:
        yield Case(
            "G09",
            f"Host {host.decode()} names another service",
            b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n",
            421,
            reached=[],
        )
    yield Case("G16", "HEAD under a rule for GET", G(method=b"HEAD"), 403, reached=[], service="only")
    yield Case(
        "G16",
        "a method override",
        G(b"X-HTTP-Method-Override: DELETE"),
        200,
        reached=["GET /"],
        service="only",
    )
    yield Case("G16", "POST under a rule for GET", P(b"Content-Length: 0"), 403, reached=[], service="only")


def table():
    for rows in (rows_a, rows_b, rows_c, rows_f, rows_g):
        yield from rows()


def marker(address, app, number):
    """The clean request behind a case: it gets its own answer. A complaint, or None."""
    target = f"{MARKER}{number}"
    try:
        request = f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
        response, rest, _ = converse(address, [request], want_close=True)
    except (ValueError, OSError) as e:
        return f"the clean request behind it failed: {e!r}"
    if response is None or response.status != 200:
        return f"the clean request behind it got {response.status if response else 'nothing'}"
    if response.body != f"GET {target}\n".encode() or rest:
        return f"the clean request behind it got another's answer: {response.body[:80]!r}"
    return None


def plaintext_to_mesh(address):
    """G17: no banner, closed within a second. A complaint, or None."""
    for data in [G(), b"SSH-2.0-x\r\n", b"\0" * 64]:
        begun = time.monotonic()
        conn = socket.create_connection(address, timeout=3)
        conn.sendall(data)
        try:
            got = conn.recv(100)
        except ConnectionResetError:
            got = b""
        except socket.timeout:
            return f"{data[:10]!r} was left open"
        finally:
            conn.close()
        # A TLS alert is no banner: it says nothing of who we are.
        if got and got[0] != 21:
            return f"{data[:10]!r} was answered {got[:40]!r}"
        if time.monotonic() - begun > 1.5:
            return f"{data[:10]!r} was closed late"
    return None


def tls_to_plain(address):
    """G17, the other way round: a TLS hello to a plaintext listener. A complaint, or None."""
    hello = bytes.fromhex("16030100310100002d0303") + b"\x11" * 32 + bytes.fromhex("000002c02b0100")
    response, _, closed = converse(address, [hello], want_close=True, limit=3)
    if not closed:
        return "it was left open"
    return None if response is None or response.status in (400, 505) else f"status {response.status}"
