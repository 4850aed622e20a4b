"""Rows A and B of the threat tables: framing and syntax of requests."""

from rows_case import HIDDEN, TE, Case, G, P, no_field, one_body, refused, refused_or


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
    yield refused(
        "A09", "empty CL before one", P(b"Content-Length:", b"Content-Length: 1", body=b"x")
    )
    yield refused(
        "A09", "empty CL behind one", P(b"Content-Length: 1", b"Content-Length:", body=b"x")
    )
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
        P(
            b"Transfer_Encoding: chunked",
            b"Content-Length: 5",
            b"Connection: close",
            body=b"0\r\n\r\n",
        ),
        {200, 400},
        check=refused_or(no_field("transfer-encoding")),
    )
    for v in [b"0x1", b"+1", b"-1", b"1_0", b" 1", b"1 ", b"", b"g", b"1\t"]:
        yield refused(
            "A22", f"chunk size {v}", P(TE, body=v + b"\r\nx\r\n0\r\n\r\n"), no_answer=True
        )
    for v in [b"1" * 17, b"FFFFFFFFFFFFFFFF", b"10000000000000000"]:
        yield refused(
            "A23",
            f"chunk size {v.decode()}",
            P(TE, body=v + b"\r\nx\r\n"),
            {400, 413},
            no_answer=True,
        )
    yield refused(
        "A24", "a MiB of zeros as chunk size", P(TE, body=b"0" * (1 << 20)), no_answer=True
    )
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
        yield refused(
            "A33", f"Expect {v}", P(b"Expect: " + v, b"Content-Length: 1", body=b"x"), {400, 417}
        )
    hidden = b"x" * 64 + HIDDEN
    early = b"POST /script/early HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (
        len(hidden) + 50
    )
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

        yield Case(
            "B03", f"a name of {n} bytes", G(name + b": v"), {200, 400, 431}, check=refused_or(kept)
        )
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
    yield refused(
        "B12", "white space before the first field", b"GET / HTTP/1.1\r\n Host: a\r\n\r\n"
    )
    yield refused("B13", "no Host", b"GET / HTTP/1.1\r\n\r\n")
    for host in [b"a\r\nHost: a", b"a\r\nHost: b", b"a,b", b"a/b", b"u@a", b"a b", b"a:99999"]:
        yield refused("B14", f"Host {host}", b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
    for host in [b"", b"a:", b"a:0", b"a:1x", b"[::1", b"a..b", b".", b"a%2eb", b"a\\b"]:
        yield refused("B14", f"Host {host}", b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
    yield refused(
        "B14", "bad Host beside an absolute target", b"GET http://a/ HTTP/1.1\r\nHost: a,b\r\n\r\n"
    )
    for line in [b"GET *", b"GET admin", b"GET a:80", b"OPTIONS */x", b"GET ?x", b"GET https://a/"]:
        yield refused("B16", line.decode(), line + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    yield refused("B16", "CONNECT /", b"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", {400, 405})
    yield refused("B17", "fragment", G(path=b"/a#b"))
    for b in [b"\0", b"\x01", b"\t", b"\x0b", b"\x0c", b"\x1f", b"\x7f", b"\x80", b"\xff"]:
        yield refused("B18", f"byte {b} in the target", G(path=b"/a" + b + b"b"))
    yield refused("B18", "space in the target", G(path=b"/a b"), {400, 505})
    for v in [
        b"HTTP/1.32",
        b"HTTP/01.1",
        b"HTTP/1.",
        b"http/1.1",
        b"HTTP/3.0",
        b"HTTP/4294967297.1",
    ]:
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
    almost = b"PRI * HTTP/2.0\r\nHost: a\r\n\r\n"
    yield refused("B26", "almost an HTTP/2 preface", almost, {400, 505})
    late = G() + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

    def then_refused(_response, rest, _seen):
        good = rest.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 505 "))
        return None if good else f"the late preface got {rest[:80]!r}"

    yield Case("B26", "an HTTP/2 preface behind a request", [late, 0.3], 200, check=then_refused)
    yield Case(
        "B27",
        "a field named by Connection",
        G(b"Connection: close, X-Auth", b"X-Auth: 1"),
        200,
        check=no_field("x-auth"),
    )
