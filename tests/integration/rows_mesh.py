"""Rows C, F and G of the threat tables: bad responses, upgrades, authorization and identity."""

import socket

from rows_case import HIDDEN, SMUGGLED, Case, G, P, converse, no_field, refused


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

    yield Case(
        "C03", "200 to an upgrade", script("upgrade-200", b"GET", *upgrade), 200, check=no_tunnel
    )

    def unpoisoned(response, rest, _seen):
        return "foreign bytes came through" if b"poisoned" in response.body + rest else None

    for id, name in [("C05", "two-responses"), ("C05", "late-response")]:
        yield Case(id, f"response: {name}", script(name), {200, 502}, check=unpoisoned)
    yield Case("C07", "204 with a body", script("204-body"), {204, 502}, check=unpoisoned)
    yield Case("C07", "304 with a body", script("304-body"), {304, 502}, check=unpoisoned)
    yield Case(
        "C07", "HEAD with a body", script("head-body", b"HEAD"), {200, 502}, check=unpoisoned
    )

    def aborted(response, _rest, _seen):
        return "a cut body looked whole" if response.status == 200 and response.whole else None

    for name in ["short", "chunk-cut", "chunk-bad"]:
        yield Case(
            "C09", f"response: {name}", script(name), {200, 502}, no_answer=True, check=aborted
        )
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
        [
            G(b"Connection: Upgrade", b"Upgrade: websocket", path=b"/plain")
            + HIDDEN.replace(SMUGGLED, b"behind")
        ],
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
        yield Case(
            "G01", f"{path.decode()} is forwarded as judged", G(path=path), 200, reached=[seen]
        )
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
        for n in (
            "x-forwarded-client-cert",
            "forwarded",
            "client-cert",
            "parley_peer",
            "parley-anything",
        ):
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
            else (
                None
                if len(r.get("parley-request-id")) == 1
                else "parley-request-id is not there once"
            )
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
    yield Case(
        "G16", "HEAD under a rule for GET", G(method=b"HEAD"), 403, reached=[], service="only"
    )
    yield Case(
        "G16",
        "a method override",
        G(b"X-HTTP-Method-Override: DELETE"),
        200,
        reached=["GET /"],
        service="only",
    )
    yield Case(
        "G16", "POST under a rule for GET", P(b"Content-Length: 0"), 403, reached=[], service="only"
    )


def plaintext_to_mesh(address):
    """G17: no banner, and closed long before the 10 s for a handshake are over. A complaint, or
    None."""
    for data in [G(), b"SSH-2.0-x\r\n", b"\0" * 64]:
        conn = socket.create_connection(address, timeout=8)
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
    return None


def tls_to_plain(address):
    """G17, the other way round: a TLS hello to a plaintext listener. A complaint, or None."""
    hello = bytes.fromhex("16030100310100002d0303") + b"\x11" * 32 + bytes.fromhex("000002c02b0100")
    response, _, closed = converse(address, [hello], want_close=True, limit=8)
    if not closed:
        return "it was left open"
    return (
        None if response is None or response.status in (400, 505) else f"status {response.status}"
    )
