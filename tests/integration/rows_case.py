"""One case of bad input: what is sent, what must come of it, and how both are checked.

Standard library only.
"""

import re
import socket
import time

from rows_app import MARKER

SMUGGLED = b"smuggled"
HIDDEN = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
TE = b"Transfer-Encoding: chunked"


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


def converse(address, parts, head_request=False, want_close=False, limit=20.0):
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


class Case:
    """`status`: allowed ones. `close`: the connection ends behind the answer. `reached`: what
    the application may have seen, as "METHOD target"; [] when nothing may arrive, None when that is
    up to `check`. `check(response, rest, seen)` gives a complaint or None. `service`: the listener.
    `no_answer`: a close without an answer is as good. `near`: run it in the process too."""

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

    def run(self, address, app, limit=20.0):
        """A complaint, or None; at the latest after `limit` seconds without the answer's end."""
        mark = app.mark()
        head_request = self.parts[0][:5] == b"HEAD "
        try:
            response, rest, closed = converse(address, self.parts, head_request, self.close, limit)
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
