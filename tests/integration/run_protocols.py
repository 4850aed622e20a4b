#!/usr/bin/env python3
"""Two hosts and what is no plain HTTP over TCP: unix sockets at both ends, sessions that end one
half after the other, servers that speak first, the PROXY protocol in and out, and TLS that passes
through by its SNI. One mesh over IPv4, one over IPv6 alone.

Time limit: 120 s
"""

import json
import os
import shutil
import socket
import ssl
import struct
import sys

from inside import Net, get, read_all, read_until
from lab import Lab, Tap, binary, run, skip_all, wait_for

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
# What runs beside the second host's parley. argv: folder, "4" or "6".
APPS = r"""
import os, socket, ssl, sys, threading
folder, loop = sys.argv[1], "::1" if sys.argv[2] == "6" else "127.0.0.1"
family = socket.AF_INET6 if sys.argv[2] == "6" else socket.AF_INET

def serve(listener, session):
    def forever():
        while True:
            conn, _ = listener.accept()
            threading.Thread(target=guard, args=(conn,), daemon=True).start()
    def guard(conn):
        try:
            session(conn)
        except OSError:
            pass
        conn.close()
    threading.Thread(target=forever, daemon=True).start()

def tcp(port):
    s = socket.socket(family, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((loop, port))
    s.listen(64)
    return s

def path(name):
    s = socket.socket(socket.AF_UNIX)
    s.bind(os.path.join(folder, name))
    s.listen(64)
    return s

def http(conn):
    reader = conn.makefile("rb")
    while True:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = reader.readline()
            if not line:
                return
            # The PROXY header of a connection, which HTTP shows as another line.
            head += line
        conn.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(head) + head)

def first(conn):
    '''Speaks first, echoes, and says goodbye when the other half has ended.'''
    conn.sendall(b"hello\n")
    while True:
        data = conn.recv(4096)
        if not data:
            break
        conn.sendall(data)
    conn.sendall(b"bye\n")

def half(conn):
    '''Ends its own half at once and then reads all of the other.'''
    conn.sendall(b"only this\n")
    conn.shutdown(socket.SHUT_WR)
    total = 0
    while True:
        data = conn.recv(65536)
        if not data:
            break
        total += len(data)
    with open(os.path.join(folder, "half"), "w") as f:
        f.write(str(total))

def told(conn):
    '''Says back, in hexadecimal, what came first.'''
    data = b""
    while not data.endswith(b"\n."):
        more = conn.recv(4096)
        if not more:
            return
        data += more
    conn.sendall(data.hex().encode())

serve(path("web.sock"), http)
serve(path("first.sock"), first)
serve(tcp(8081), http)
serve(tcp(8082), first)
serve(tcp(8083), half)
serve(tcp(8084), told)
serve(tcp(8085), http)
for name, port in (("one", 8086), ("two", 8087)):
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(os.path.join(folder, name + ".pem"))
    def tls(conn, ctx=ctx, name=name):
        with ctx.wrap_socket(conn, server_side=True) as s:
            s.sendall(b"this is " + name.encode())
    serve(tcp(port), tls)
print("ready", flush=True)
threading.Event().wait()
"""
SERVICES = """
[service.web]
local = "unix:{folder}/web.sock"
health = {{ http = "/healthz", interval = "500ms" }}
allow = ["caller"]
[service.first]
local = "unix:{folder}/first.sock"
protocol = "tcp"
allow = ["caller"]
[service.plain]
local = "{loop}:8081"
allow = ["caller"]
[service.greeter]
local = "{loop}:8082"
allow = ["caller"]
[service.half]
local = "{loop}:8083"
protocol = "tcp"
allow = ["caller"]
[service.told1]
local = "{loop}:8084"
protocol = "tcp"
proxy_protocol = "v1"
allow = ["caller"]
[service.told2]
local = "{loop}:8084"
protocol = "tcp"
proxy_protocol = "v2"
allow = ["caller"]
[service.behind]
local = "{loop}:8085"
proxy_protocol = "v1"
health = {{ http = "/healthz", interval = "500ms" }}
allow = ["caller"]
[service.one]
local = "{loop}:8086"
protocol = "tls-passthrough"
allow = ["caller"]
[service.two]
local = "{loop}:8087"
protocol = "tls-passthrough"
allow = ["caller"]
"""
CALLER = """
[service.caller]
local = "{loop}:9"
health = "none"
[upstream.web]
listen = "unix:{folder}/call-web.sock"
[upstream.first]
listen = "unix:{folder}/call-first.sock"
protocol = "tcp"
[upstream.plain]
listen = "{loop}:9001"
proxy_protocol = true
[upstream.greeter]
listen = "{loop}:9002"
[upstream.half]
listen = "{loop}:9003"
protocol = "tcp"
[upstream.told1]
listen = "{loop}:9004"
protocol = "tcp"
proxy_protocol = true
[upstream.told2]
listen = "{loop}:9005"
protocol = "tcp"
proxy_protocol = true
[upstream.behind]
listen = "{loop}:9006"
[upstream.one]
listen = "{loop}:9443"
protocol = "tls-passthrough"
[upstream.two]
listen = "{loop}:9443"
protocol = "tls-passthrough"
sni = ["two.example", "*.two.example"]
"""
NAMES = "web first plain greeter half told1 told2 behind one two".split()


def unix_sockets(tap, net, folder):
    answer = get(net.unix(f"{folder}/call-web.sock"), "/through-sockets")
    tap.ok(
        "200 OK" in answer and "GET /through-sockets" in answer,
        "HTTP from a unix socket to a unix socket",
        answer,
    )
    s = net.unix(f"{folder}/call-first.sock")
    hello = read_until(s, b"\n")
    s.sendall(b"x" * 1000)
    s.shutdown(socket.SHUT_WR)
    rest = read_all(s)
    tap.ok(
        hello == b"hello\n" and rest == b"x" * 1000 + b"bye\n",
        "TCP from a unix socket to a unix socket, the server first",
        f"{hello} {rest[:80]}",
    )


def halves(tap, net, folder):
    s = net.tcp(9002)
    hello = read_until(s, b"\n")
    s.sendall(b"y" * 300000)
    s.shutdown(socket.SHUT_WR)
    rest = read_all(s)
    tap.ok(
        hello == b"hello\n" and rest == b"y" * 300000 + b"bye\n",
        "what the server says behind the client's end arrives",
        f"{hello} {len(rest)} bytes",
    )
    s = net.tcp(9003)
    said = read_all(s)
    s.sendall(b"z" * 300000)
    s.shutdown(socket.SHUT_WR)
    path = os.path.join(folder, "half")
    count = wait_for(lambda: os.path.exists(path) and open(path).read(), 10)
    tap.ok(
        said == b"only this\n" and count == "300000",
        "what the client says behind the server's end arrives",
        f"{said} {count}",
    )
    s = net.tcp(9006)
    s.sendall(b"GET /half HTTP/1.1\r\nHost: a\r\n\r\n")
    s.shutdown(socket.SHUT_WR)
    answer = read_all(s).decode("latin-1")
    tap.ok(
        "200 OK" in answer and "GET /half" in answer,
        "N30: an HTTP client that ends its half gets its answer",
        answer,
    )


def v2(source, destination):
    four = ":" not in source
    pack = lambda a: socket.inet_pton(socket.AF_INET if four else socket.AF_INET6, a)
    body = pack(source) + pack(destination) + struct.pack(">HH", 4711, 80)
    return SIGNATURE + bytes([0x21, 0x11 if four else 0x21]) + struct.pack(">H", len(body)) + body


def proxy_in(tap, net, loop):
    four = ":" not in loop
    client, word = ("192.0.2.7", "TCP4") if four else ("2001:db8::7", "TCP6")
    line = f"PROXY {word} {client} {loop} 4711 80\r\n".encode()
    answer = get(net.tcp(9001), "/v1", line)
    tap.ok(
        f"x-forwarded-for: {client}\r\n" in answer,
        "a relay's header of version 1 names the client to the application",
        answer,
    )
    answer = get(net.tcp(9001), "/v2", v2(client, loop))
    tap.ok(f"x-forwarded-for: {client}\r\n" in answer, "and one of version 2 does", answer)
    s = net.tcp(9001)
    for byte in line:
        s.sendall(bytes([byte]))
    answer = get(s, "/pieces")
    tap.ok(f"x-forwarded-for: {client}\r\n" in answer, "also byte by byte", answer)
    answer = get(net.tcp(9001), "/local", SIGNATURE + b"\x20\0\0\0")
    tap.ok("200 OK" in answer and client not in answer, "LOCAL names nobody", answer)
    answer = get(net.tcp(9001), "/none")
    tap.ok("HTTP" not in answer, "without the header the connection is closed, no answer", answer)
    answer = get(net.tcp(9006), "/not-asked", line)
    tap.ok("400 Bad" in answer, "a header that nobody asked for is no request", answer)


def proxy_out(tap, net, loop, caller):
    four = ":" not in loop
    client, word = ("192.0.2.7", "TCP4") if four else ("2001:db8::7", "TCP6")
    line = f"PROXY {word} {client} {loop} 4711 80\r\n".encode()
    s = net.tcp(9004)
    s.sendall(line + b"data\n.")
    s.shutdown(socket.SHUT_WR)
    said = bytes.fromhex(read_all(s).decode())
    want = f"PROXY {word} {client} {loop} 4711 8084\r\ndata\n.".encode()
    tap.ok(said == want, "a TCP application is told the client, version 1", f"{said}\n{want}")
    s = net.tcp(9005)
    s.sendall(line + b"data\n.")
    s.shutdown(socket.SHUT_WR)
    said = bytes.fromhex(read_all(s).decode())
    want = v2(client, loop)[:-2] + struct.pack(">H", 8084) + b"data\n."
    tap.ok(said == want, "and version 2", f"{said}\n{want}")
    s = net.tcp(9004)
    s.sendall(b"PROXY UNKNOWN\r\ndata\n.")
    s.shutdown(socket.SHUT_WR)
    said = bytes.fromhex(read_all(s).decode())
    tap.ok(
        said.startswith(f"PROXY {word} {caller} {loop} ".encode()),
        "a client of the caller's own host is told as that host",
        said,
    )
    answer = get(net.tcp(9006), "/reused")
    tap.ok(
        "\r\n\r\nPROXY UNKNOWN\r\nGET /reused" in answer or "\r\n\r\nGET /reused" in answer,
        "an HTTP application gets a header that names nobody, once a connection",
        answer,
    )


def hello(net, folder, name):
    """The certificate's file that answers for this SNI and what it says, or the error."""
    ctx = ssl.create_default_context(cafile=os.path.join(folder, "all.pem"))
    ctx.check_hostname = False
    try:
        with ctx.wrap_socket(net.tcp(9443), server_hostname=name) as s:
            return read_all(s).decode()
    except ssl.SSLError as e:
        return e.reason or str(e)


def passthrough(tap, net, folder):
    for name, says in (
        ("one", "this is one"),
        ("ONE.lab", "this is one"),
        ("two.example", "this is two"),
        ("deep.in.two.example", "this is two"),
    ):
        got = hello(net, folder, name)
        tap.ok(got == says, f"TLS with the SNI {name} reaches its application", got)
    for name in ("other", None):
        got = hello(net, folder, name)
        tap.ok(
            "UNRECOGNIZED_NAME" in got,
            f"TLS with the SNI {name} is told that nobody has that name",
            got,
        )
    answer = get(net.tcp(9443), "/plain")
    tap.ok("HTTP" not in answer, "what is no TLS is closed without a word", answer)


def judged(tap, one, two, folder, services):
    """A rule on requests to a service that was found to have none."""
    path = os.path.join(folder, "mesh.toml")
    with open(path, "w") as f:
        f.write('[[rule]]\nname = "look"\nfrom = ["web"]\nto = ["greeter"]\npath = ["/x"]\n')
    r = one.parley("config", "diff", path)
    tap.ok(
        r.returncode == 0 and 'requests to "greeter", which was found to speak tcp' in r.stderr,
        "who wants to judge its requests is told that there are none",
        r.stdout + r.stderr,
    )
    two.config(
        services + '[[service.greeter.rule]]\nname = "look"\nfrom = ["caller"]\nmethod = ["GET"]\n'
    )
    r = two.parley("reload", "--wait")
    said = two.parley("check").stdout
    tap.ok(
        r.returncode == 0 and "found to speak tcp" in r.stderr + r.stdout and "P046" in said,
        "and its host does what it says, and tells what that means",
        r.stdout + r.stderr + said,
    )
    two.config(services)
    r = two.parley("reload", "--wait")
    tap.ok(
        r.returncode == 0 and "P046" not in two.parley("check").stdout,
        "until it is gone again",
        r.stdout + r.stderr,
    )


def certificate(folder, name):
    path = os.path.join(folder, f"{name}.pem")
    run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        + ["-nodes", "-days", "2", "-subj", f"/CN={name}", "-keyout", path + ".key", "-out", path],
        check=True,
    )
    with open(path) as cert, open(path + ".key") as key, open(
        os.path.join(folder, "all.pem"), "a"
    ) as both:
        text = cert.read()
        both.write(text)
        whole = text + key.read()
    with open(path, "w") as f:
        f.write(whole)


def mesh(tap, six):
    tap.note("a mesh over IPv6 alone" if six else "a mesh over IPv4")
    with Lab(2, six=six) as lab:
        if not lab.mesh(tap):
            return
        loop = "[::1]" if six else "127.0.0.1"
        one, two = lab.host[1], lab.host[2]
        for name in ("one", "two"):
            certificate(lab.folder, name)
        app = os.path.join(lab.folder, "apps.py")
        with open(app, "w") as f:
            f.write(APPS)
        two.spawn(sys.executable, app, lab.folder, "6" if six else "4", log="apps.log")
        ready = lambda: "ready" in open(os.path.join(lab.folder, "apps.log")).read()
        tap.ok(wait_for(ready, 10), "the applications listen")
        services = SERVICES.format(folder=lab.folder, loop=loop)
        two.config(services)
        one.config(CALLER.format(folder=lab.folder, loop=loop))
        for h in (two, one):
            r = h.parley("reload", "--wait")
            tap.ok(r.returncode == 0, f"{h.name} takes its services", r.stdout + r.stderr)
        up = lambda: all(one.endpoint_states(s).get("h2") == "up" for s in NAMES)
        tap.ok(
            wait_for(up, 15),
            "every service is up, by health checks over unix sockets and behind a PROXY header too",
            one.parley("services").stdout + two.parley("services").stdout,
        )
        learned = lambda: "tcp (learned)" in one.parley("services", "greeter").stdout
        tap.ok(
            wait_for(learned, 15),
            "a caller is told that a server which speaks first is no HTTP",
            two.parley("services").stdout,
        )
        status = json.loads(one.parley("status", "--json").stdout)["data"]
        calls = {u["name"]: (u["protocol"], u["protocol_from"]) for u in status["upstreams"]}
        tap.ok(
            calls["greeter"] == ("tcp", "learned") and calls["half"] == ("tcp", "configured"),
            "its status says how it calls them, and where that is from",
            calls,
        )
        judged(tap, one, two, lab.folder, services)
        net = Net(one, loop.strip("[]"))
        unix_sockets(tap, net, lab.folder)
        halves(tap, net, lab.folder)
        proxy_in(tap, net, net.loop)
        proxy_out(tap, net, net.loop, one.addr)
        passthrough(tap, net, lab.folder)
        r = one.run("curl", "-s", "--unix-socket", f"{lab.folder}/call-web.sock", "http://web/c")
        tap.ok(
            "GET /c" in r.stdout, "curl speaks to an upstream's unix socket", r.stdout + r.stderr
        )
        one.config("")
        r = one.parley("reload", "--wait")
        gone = lambda: not os.path.exists(f"{lab.folder}/call-web.sock")
        tap.ok(
            r.returncode == 0 and wait_for(gone, 5), "an upstream that goes takes its socket along"
        )
        lab.sound(tap)


def main():
    if os.geteuid() != 0:
        skip_all("network namespaces need root")
    for tool in ("ip", "curl", "openssl"):
        if not shutil.which(tool):
            skip_all(f"{tool} is not installed (make deps)")
    if not os.path.exists(binary()):
        skip_all("build/parley does not exist (make all)")
    tap = Tap()
    mesh(tap, six=False)
    mesh(tap, six=True)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
