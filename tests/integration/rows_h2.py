"""Bad input in HTTP/2: the rows D, E and F of the threat tables that are about frames, as data.

A row is what a client sends and which outcomes are right: "rst CODE", "goaway CODE", "status N",
"closed"; without a code any will do. It runs against the port of local clients and, through a TLS
relay, against the mesh port; the application behind is HTTP/1.1 and records what arrives.
"""

import h2_wire as h2
from h2_wire import frame, get

ANY_END = {"rst", "goaway", "closed"}
REFUSED = ANY_END | {"status 400"}
CALM = {f"goaway {h2.CALM}"}
FLOOD = 1000


class Row:
    """`send(peer)` sends, on stream 1 where it is about one. `reached`: what the application may
    have seen ("METHOD target"), a number: at most so many, None: anything. `whole`: the connection
    is read until it ends, what happens on streams does not matter. `check(message, seen)` gives a
    complaint or None."""

    def __init__(self, id, what, send, want, **kw):
        self.id, self.what, self.send, self.want = id, what, send, set(want)
        self.reached = kw.pop("reached", [])
        self.whole = kw.pop("whole", False)
        self.check = kw.pop("check", None)
        self.goes_on = kw.pop("goes_on", False)  # the connection serves another request
        self.own = kw.pop("own", {})  # SETTINGS of the client
        assert not kw, kw

    def run(self, address, app, patience=10):
        """A complaint, or None."""
        mark = app.mark()
        peer = h2.dial(address, **self.own)
        peer.streams[1] = h2.Message()
        try:
            self.send(peer)
        except h2.Gone:
            pass  # refused early; why may still be read
        outcome = self.outcome(peer, patience)
        complaint = None
        if not any(outcome == w or outcome.startswith(w + " ") for w in self.want):
            complaint = f"{outcome}, not one of {sorted(self.want)}"
        elif self.goes_on and not outcome.startswith(("goaway", "closed")):
            peer.next_id = 101
            if peer.answer(peer.request(get("/on"))).status() != 200:
                complaint = "the connection did not go on"
        peer.close()
        seen = [r for r in app.since(mark) if r.target != "/on"]
        return complaint or self.saw(seen, peer.streams[1])

    def outcome(self, peer, patience):
        message = peer.streams[1]

        def settled():
            failed = peer.goaway is not None and peer.goaway[1] != 0
            return failed or (not self.whole and (message.ended or message.reset is not None))

        closed = not peer.wait(settled, patience) and peer.over(0.1)
        if peer.goaway is not None and peer.goaway[1] != 0:
            return f"goaway {peer.goaway[1]}"
        if not self.whole and message.reset is not None:
            return f"rst {message.reset}"
        if not self.whole and message.ended:
            return f"status {message.status()}"
        return "closed" if closed else "silence"

    def saw(self, seen, message):
        for r in seen:
            if "smuggled" in r.target:
                return f"the application saw a smuggled request: {r}"
        if isinstance(self.reached, int):
            if len(seen) > self.reached:
                return f"the application saw {len(seen)} requests"
        elif self.reached is not None:
            lines = [f"{r.method} {r.target}" for r in seen]
            if lines != self.reached:
                return f"the application saw {lines[:5]}, not {self.reached}"
        return self.check(message, seen) if self.check else None


def number(n):
    return n.to_bytes(4, "big")


def opened(*more, path="/", method="POST"):
    """Opens stream 1 and leaves it open; then what `more` gives for it."""

    def send(peer):
        peer.headers(1, get(path, method=method))
        for part in more:
            peer.send(part)

    return send


def ended(*more):
    def send(peer):
        peer.headers(1, get("/"), end=True)
        for part in more:
            peer.send(part)

    return send


def first(*parts):
    def send(peer):
        for part in parts:
            peer.send(part)

    return send


def fields(*more, path="/", body=None, trailers=None):
    def send(peer):
        last = body is None and trailers is None
        peer.headers(1, get(path, *more, method="POST"), end=last)
        if body is not None:
            peer.data(1, body, end=trailers is None)
        if trailers is not None:
            peer.headers(1, trailers, end=True)

    return send


def head(*fields_):
    return lambda peer: peer.headers(1, list(fields_), end=True)


def times(count, make):
    """`make(peer, stream)` for `count` new streams, as bytes, in one write each hundred."""

    def send(peer):
        block = peer.encoder.encode(get("/flood"), huffman=False)
        for at in range(0, count, 100):
            peer.send(b"".join(make(block, 2 * i + 1) for i in range(at, at + 100)))

    return send


def rows_floods():
    def reset(block, stream):
        return frame(h2.HEADERS, 5, stream, block) + frame(h2.RST, 0, stream, number(h2.CANCEL))

    yield Row("D02", "rapid reset", times(FLOOD, reset), CALM, whole=True, reached=300)
    for what, kind, payload in (
        ("WINDOW_UPDATE 0", h2.WINDOW, number(0)),
        ("WINDOW_UPDATE beyond 2^31-1", h2.WINDOW, number(0x7FFFFFFF)),
        ("PRIORITY of 6 bytes", h2.PRIORITY, bytes(6)),
        ("HEADERS", h2.HEADERS, b"\x82"),
        ("DATA", h2.DATA, b"x"),
    ):

        def made(block, stream, kind=kind, payload=payload):
            return frame(h2.HEADERS, 5, stream, block) + frame(kind, 4, stream, payload)

        yield Row("D03", what, times(FLOOD, made), {"goaway"}, whole=True, reached=300)

    def itself(block, stream):
        return frame(h2.HEADERS, 5, stream, block) + frame(
            h2.PRIORITY, 0, stream, number(stream) + b"\0"
        )

    yield Row(
        "D03", "PRIORITY on itself", times(FLOOD, itself), {"goaway"}, whole=True, reached=300
    )
    for size in (0, 1, 16384):

        def endless(peer, size=size):
            block = peer.encoder.encode(get("/"), huffman=False)
            peer.send(frame(h2.HEADERS, 1, 1, block))
            for _ in range(100):
                peer.send(frame(h2.CONTINUATION, 0, 1, b"\x10" * size))

        want = {"goaway", "closed"}
        yield Row("D05", f"CONTINUATION of {size} without end", endless, want, whole=True)
    pings = frame(h2.PING, 0, 0, bytes(8)) * FLOOD
    yield Row("D07", "PING", first(pings), CALM, whole=True)
    yield Row("D08", "SETTINGS", first(frame(h2.SETTINGS, 0, 0) * FLOOD), CALM, whole=True)
    empty = frame(h2.DATA, 0, 1) * FLOOD
    yield Row("D09", "empty DATA", opened(empty), CALM, whole=True, reached=None)
    churn = b"".join(
        frame(h2.PRIORITY, 0, 2 * i + 1, number(2 * i + 3) + b"\x10") for i in range(1, FLOOD)
    )
    yield Row("D10", "PRIORITY on idle streams", first(churn), CALM, whole=True)
    padded = frame(h2.DATA, h2.PADDED, 1, b"\xff" + b"x" + bytes(255)) * 4000
    want = {"status 200", "rst 3", "goaway 3", "rst 11", "goaway 11"}
    last = frame(h2.DATA, h2.END_STREAM, 1)
    yield Row("D20", "one byte of 257", opened(padded, last), want, reached=None)


def rows_headers():
    empties = [("", "")] * 1000
    yield Row("D11", "empty names", fields(*empties), ANY_END | {"status 431", "status 400"})
    yield Row("D11", "10 000 empty values", fields(*[("x", "")] * 10000), ANY_END | {"status 431"})

    def bomb(peer):
        block = peer.encoder.encode(get("/bomb"), huffman=False)
        value = b"v" * 4000
        entry = (
            b"\x40\x01x" + b"\x7f" + bytes([0x80 | (4000 - 127) & 0x7F, (4000 - 127) >> 7]) + value
        )
        peer.send(frame(h2.HEADERS, 5, 1, block + entry + b"\xbe" * 12000))

    want = {"status 431", "rst", "goaway"}
    yield Row("D15", "HPACK bomb", bomb, want, goes_on=True)
    for name, value in (
        ("connection", "close"),
        ("connection", "x"),
        ("keep-alive", "1"),
        ("proxy-connection", "close"),
        ("upgrade", "websocket"),
        ("transfer-encoding", "chunked"),
        ("te", "gzip"),
    ):
        yield Row("D24", f"{name}: {value}", fields((name, value)), {"rst 1"}, goes_on=True)
    for value in ("x\r\nEvil: 1", "a\0b", "a\nb", "a\rb"):
        yield Row("E01", f"value {value!r}", fields(("x", value)), REFUSED)
    for name in ("X-Upper", "", "a:b", "a b", "a\nb", "a\r\nb", "a\0b"):
        yield Row("E02", f"name {name!r}", fields((name, "v")), REFUSED)
    good = dict(get("/"))
    for field, values in (
        (":path", ("hello", "", "/ HTTP/1.1\r\nHost: e", "/a b", "/a#b", "/\x7f", "*")),
        (":method", ("GET?", "GET / HTTP/1.1", "", "GET\r\n")),
        (":scheme", ("http://x/?", "htTp", "")),
        (":authority", ("u@a", "a b", "a/b", "a\r\nx: y", "a:99999")),
    ):
        for value in values:
            bad = [(k, value if k == field else v) for k, v in good.items()]
            yield Row("E03", f"{field} {value!r}", head(*bad), REFUSED)
    without = [(k, v) for k, v in good.items() if k != ":path"]
    yield Row("E03", "no :path", head(*without), REFUSED)
    yield Row("E03", ":path twice", head(*get("/"), (":path", "/b")), REFUSED)
    yield Row("E03", "pseudo field behind another", fields((":method", "GET")), REFUSED)
    yield Row("E03", "Host beside :authority", fields(("host", "b")), REFUSED)
    for value in (" x", "x ", "\tx", "x\t"):
        yield Row("E05", f"value {value!r}", fields(("x", value)), REFUSED)
    smuggled = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    chunked = ("transfer-encoding", "chunked")
    yield Row("E06", "transfer-encoding", fields(chunked, body=smuggled), REFUSED)

    def joined(_message, seen):
        cookies = seen[0].get("cookie") if seen else []
        return None if len(cookies) == 1 and cookies[0].count(";") == 999 else f"{cookies}"[:200]

    crumbs = [("cookie", f"c{i}={i}") for i in range(1000)]
    yield Row("E07", "1 000 crumbs", fields(*crumbs), {"status 200"}, reached=None, check=joined)
    long = [("cookie", "c=" + "x" * 60)] * 1200
    yield Row("E07", "72 KiB of crumbs", fields(*long), {"status 431", "rst", "goaway"})


def rows_frames():
    def ids(*streams):
        def send(peer):
            for stream in streams:
                block = peer.encoder.encode(get("/id"), huffman=False)
                peer.send(frame(h2.HEADERS, 5, stream, block))

        return send

    kw = {"whole": True, "reached": None}
    yield Row("D17", "an even stream", ids(2), {"goaway 1"}, **kw)
    yield Row("D17", "a lower stream", ids(5, 3), {"goaway 1"}, **kw)
    yield Row("D17", "HEADERS on stream 0", ids(0), {"goaway 1"}, **kw)
    yield Row("D17", "a stream again", ids(1, 1), {"goaway 5", "goaway 1"}, **kw)
    length = ("content-length", "5")
    for what, send in (
        ("less DATA", fields(length, body=b"abc")),
        ("more DATA", fields(length, body=b"abcdefg")),
        ("no DATA", fields(length)),
        ("less DATA and trailers", fields(length, body=b"abc", trailers=[("x", "y")])),
        ("two lengths", fields(length, ("content-length", "6"), body=b"abcde")),
    ):
        yield Row("D18", f"content-length 5, {what}", send, {"rst 1"}, goes_on=True)
    too_long = frame(h2.DATA, 0, 1, b"x" * 16385)
    yield Row("D23", "DATA of 16 385", opened(too_long), {"goaway 6", "rst 6"}, reached=None)
    for what, data in (
        ("SETTINGS of 5", frame(h2.SETTINGS, 0, 0, bytes(5))),
        ("PING of 7", frame(h2.PING, 0, 0, bytes(7))),
        ("SETTINGS ACK with bytes", frame(h2.SETTINGS, h2.ACK, 0, bytes(6))),
        ("WINDOW_UPDATE of 3", frame(h2.WINDOW, 0, 0, bytes(3))),
    ):
        yield Row("D23", what, first(data), {"goaway 6"}, **kw)
    push = frame(h2.PUSH, 4, 1, number(2) + b"\x82")
    yield Row("D22", "PUSH_PROMISE from a client", ended(push), {"goaway 1"}, **kw)


def rows_connect():
    inside = [(":method", "CONNECT"), (":authority", "169.254.169.254:80")]
    yield Row("F05", "CONNECT", head(*inside), {"status 405", "rst"})
    foo = get("/", (":protocol", "foo"), method="CONNECT")
    yield Row("F06", ":protocol foo", head(*foo), {"status 501", "status 400", "rst"})
    odd = get("/", (":protocol", "websocket"))
    yield Row("F06", ":protocol without CONNECT", head(*odd), REFUSED)
    frame4g = b"\0\xff\xff\xff\xff"
    grpc = [("content-type", "application/grpc"), ("te", "trailers")]

    def alike(_message, seen):
        return None if seen and seen[0].body == frame4g else f"{seen}"

    for timeout in ("99999999999H", "-1S", "1X"):
        send = fields(*grpc, ("grpc-timeout", timeout), body=frame4g)
        what = f"grpc-timeout {timeout}, a message of 4 GiB"
        yield Row("F07", what, send, {"status 200"}, reached=None, check=alike)


def table():
    for rows in (rows_floods, rows_headers, rows_frames, rows_connect):
        yield from rows()
