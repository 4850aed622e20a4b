"""Tunnels through a mesh, for run_h2.py: how to read from them, and CONNECT to applications that
are proxies, in HTTP/1.1 and HTTP/2 at either end.
"""

import socket

import h2_wire as h2


def read_head(sock):
    """The head of an answer, in lower case, and what has come behind it."""
    data = b""
    while b"\r\n\r\n" not in data:
        got = sock.recv(4096)
        if not got:
            break
        data += got
    head, _, rest = data.partition(b"\r\n\r\n")
    return head.decode("latin-1").lower(), rest


def read_exactly(sock, count):
    data = b""
    while len(data) < count:
        got = sock.recv(count - len(data))
        if not got:
            break
        data += got
    return data


def in_h1(address, target):
    sock = socket.create_connection(address, timeout=5)
    sock.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\nping".encode())
    return sock, *read_head(sock)


def rest_of(sock):
    data = b""
    while got := sock.recv(4096):
        data += got
    return data


def in_h2(client, target):
    return client.request([(":method", "CONNECT"), (":authority", target)], end=False)


def test_connect(tap, proxies, new, old):
    """`proxies`: listeners by name. `new`, `old`: the applications behind them."""
    for name, address in proxies.items():
        sock, head, rest = in_h1(address, "open.example:443")
        bare = "upgrade" not in head and "length" not in head and "encoding" not in head
        tap.ok(head.startswith("http/1.1 200") and bare, f"CONNECT in HTTP/1.1, {name}", head)
        rest += read_exactly(sock, 4 - len(rest))
        sock.shutdown(socket.SHUT_WR)
        end = rest_of(sock)
        tap.ok(rest == b"ping" and end == b"bye", f"bytes and ends both ways, {name}", (rest, end))
        sock.close()
        sock, head, rest = in_h1(address, "shut.example:443")
        rest += rest_of(sock)
        good = head.startswith("http/1.1 407") and "proxy-authenticate: basic" in head
        tap.ok(good and b"no" in rest, f"a proxy's refusal is passed on, {name}", head)
        sock.close()
        c = h2.dial(address)
        s = in_h2(c, "open.example:443")
        m = c.streams[s]
        c.data(s, b"ping")
        c.wait(lambda: len(m.body) >= 4)
        c.data(s, b"", end=True)
        c.answer(s)
        good = m.status() == 200 and m.body == b"pingbye" and m.ended
        tap.ok(good, f"CONNECT in HTTP/2, bytes and ends both ways, {name}", (m.heads, m.body))
        m = c.answer(in_h2(c, "shut.example:443"))
        good = m.status() == 407 and m.body == b"no" and "proxy-authenticate" in m.head()
        tap.ok(good, f"a proxy's refusal is passed on, {name}", m.heads)
        m = c.answer(in_h2(c, "open.example"))
        tap.ok(m.status() == 400, f"there is no port to guess, {name}", m.heads)
        word = h2.get("/", (":protocol", "parley-tunnel"), method="CONNECT", authority="open.a:1")
        m = c.answer(c.request(word, end=False))
        tap.ok(m.status() == 501, f"what parleys say to each other no client may, {name}", m.heads)
        m = c.answer(c.request(h2.get("/plain")))
        tap.ok(m.status() == 200, f"the connection goes on, {name}", m.heads)
        c.close()
    calls = [dict(c.message.heads[0]) for c in new.calls]
    asked = [f for f in calls if f.get(":authority", "").endswith(".example:443")]
    bare = not any({":path", ":scheme", ":protocol"} & f.keys() for f in asked)
    tap.ok(len(asked) == 4 and bare, "the application is asked as RFC 9113 8.5 has it", asked)
    targets = {r.target for r in old.since(0) if r.method == "CONNECT"}
    want = {"open.example:443", "shut.example:443"}
    tap.ok(targets == want, "and as RFC 9112 3.2.3 has it", targets)
