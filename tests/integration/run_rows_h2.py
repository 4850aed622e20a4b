#!/usr/bin/python3
"""The HTTP/2 rows of the threat tables against a mesh of two nodes: on the port of local clients,
inside the process, and on the mesh port behind a TLS relay with a client certificate. Where HAProxy
is installed its score on the same rows stands beside ours, for information.

Loopback addresses, no root. Needs python3-hpack.

Time limit: 280 s
"""

import socket
import struct
import sys
import time

import haproxy
from lab import binary, skip_all, wait_for
from loopback import Node, Relay, boot, main
from rows_app import App
from rows_case import marker

try:
    import h2_wire as h2
    import rows_h2
except ImportError:
    skip_all("python3-hpack is not installed")

NEAR, FAR = "127.0.77.1", "127.0.77.2"
CLIENT, LOCAL, RELAY, HAPROXY = (NEAR, 9001), (NEAR, 9003), (NEAR, 9100), (NEAR, 9200)
PUSHER = (FAR, 8082)
NODE_1 = f"""
[service.web]
local = "{NEAR}:8080"
health = "none"
[service.near]
local = "{NEAR}:8081"
health = "none"
allow = ["web"]
[upstream.api]
listen = "{NEAR}:9001"
as = "web"
[upstream.near]
listen = "{NEAR}:9003"
as = "web"
[upstream.pusher]
listen = "{NEAR}:9004"
as = "web"
"""
NODE_2 = f"""
[service.api]
local = "{FAR}:8081"
health = "none"
allow = ["web"]
[service.pusher]
local = "{FAR}:8082"
protocol = "h2"
health = "none"
allow = ["web"]
"""
HAPROXY_CONFIG = f"""
frontend in
    bind {HAPROXY[0]}:{HAPROXY[1]} proto h2
    default_backend out
backend out
    server app {FAR}:8081
"""
CHECKED = "/asan/" in binary() or "/tsan/" in binary()
HALF_KIB = 8192  # pools grow in steps; an exchange left behind by each would be over 30 MiB
MEMORY_KIB = 24 * 1024  # more than the application's bytes that may wait, far below all of them


def run_table(tap, nodes, apps):
    number = 0
    for row in rows_h2.table():
        for where, address, app in (
            ("over a link", CLIENT, apps["api"]),
            ("in the process", LOCAL, apps["near"]),
            ("on the mesh port", RELAY, apps["api"]),
        ):
            number += 1
            complaint = row.run(address, app)
            clean = LOCAL if address == LOCAL else CLIENT
            complaint = complaint or marker(clean, app, number)
            dead = [n.name for n in nodes if not n.alive()]
            tap.ok(not complaint and not dead, f"{row.id} {row.what}, {where}", complaint or dead)
            if dead:
                for n in nodes:
                    tap.note(n.said()[-2000:])
                return


def resident_kib(node):
    with open(f"/proc/{node.process.pid}/status") as f:
        for line in f:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    return 0


def half_head():
    sock = socket.create_connection(CLIENT, timeout=5)
    begun = h2.PREFACE + h2.frame(h2.SETTINGS, 0, 0) + h2.frame(h2.HEADERS, 1, 1, b"\x82")
    try:
        sock.sendall(begun + h2.frame(h2.CONTINUATION, 0, 1, b"\x86"))
    except OSError:
        pass  # refused early is as good
    sock.close()


def half_heads(tap, nodes):
    """D06: a head that is never complete, and the connection closed, many times."""
    for _ in range(1000):
        half_head()  # fills the pools, which are bounded
    before = sum(resident_kib(n) for n in nodes)
    for _ in range(3000):
        half_head()
    grown = sum(resident_kib(n) for n in nodes) - before
    name = "D06 3 000 half heads leave nothing behind"
    if CHECKED:
        tap.skip(name, "a checked build keeps what is freed")
    else:
        tap.ok(grown < HALF_KIB, name, f"{grown} KiB more")


def slow_readers(tap, nodes):
    """D12, D13: 40 answers of 4 MiB that nobody takes: by the window, and by TCP."""
    for id, what, own in (
        ("D12", "windows of one byte", {"window": 1}),
        ("D13", "huge windows over a TCP connection that is not read", {"window": 0x7FFFFFFF}),
    ):
        before = [resident_kib(n) for n in nodes]
        peer = h2.dial(CLIENT, **own)
        if id == "D13":
            peer.send(h2.frame(h2.WINDOW, 0, 0, struct.pack(">I", 0x7FFFFFFF - 65535)))
        streams = [peer.request(h2.get("/script/large")) for _ in range(40)]
        if id == "D12":
            for stream in streams:
                message = peer.streams[stream]
                peer.wait(lambda m=message: len(m.body) > 0, 10)
            got = sum(len(peer.streams[s].body) for s in streams)
            tap.ok(got >= 40, "D12 the bytes that there is room for come", got)
        settled = wait_for(lambda: still(nodes), 20, step=0.3)
        grown = [resident_kib(n) - b for n, b in zip(nodes, before)]
        good = settled and max(grown) < MEMORY_KIB
        name = f"{id} {what}: memory stays bounded"
        if CHECKED:
            tap.skip(name, "a checked build keeps what is freed")
        else:
            tap.ok(good, name, f"{grown} KiB more")
        peer.close()


def still(nodes):
    first = [resident_kib(n) for n in nodes]
    time.sleep(0.3)
    return [resident_kib(n) for n in nodes] == first


def bad_applications(tap, nodes):
    """D21, D22: what an HTTP/2 application may do to the link or to its callers."""

    left = []

    def end(call):
        path = call.path()
        if path == "/push":
            call.peer.send(h2.frame(h2.PUSH, 4, call.stream, struct.pack(">I", 2) + b"\x82"))
        elif path == "/goaway":
            if call.peer not in left:
                left.append(call.peer)
                call.peer.send(h2.frame(h2.GOAWAY, 0, 0, struct.pack(">II", call.stream, 0)))
                call.peer.send(h2.frame(h2.SETTINGS, 0, 0, h2.settings(streams=0)))
                call.respond(200, body=b"done")
        else:
            call.respond(200, body=b"ok")

    app = h2.App(PUSHER, end, streams=100)
    peer = h2.dial((NEAR, 9004))
    m = peer.answer(peer.request(h2.get("/push")))
    tap.ok(m.status() == 502, "D22 PUSH_PROMISE from an application", m.heads)
    m = peer.answer(peer.request(h2.get("/ok")))
    tap.ok(m.body == b"ok", "its next connection is used", m.heads)
    streams = [peer.request(h2.get("/goaway")) for _ in range(3)]
    got = [peer.answer(s).status() for s in streams]
    tap.ok(got.count(200) >= 2, "D21 GOAWAY, then no streams allowed", got)
    tap.ok(len(left) == got.count(200), "no answered call was made twice", (got, len(left)))
    tap.ok(all(n.alive() for n in nodes), "and both hosts live")
    peer.close()
    app.close()


def haproxy_results(app):
    for row in rows_h2.table():
        try:
            complaint = row.run(HAPROXY, app, 1)
        except (OSError, h2.Gone) as e:
            complaint = repr(e)
        yield f"{row.id} {row.what}", complaint


def answers(address):
    try:
        peer = h2.dial(address)
        return peer.answer(peer.request(h2.get("/ready")), 2).status() == 200
    except (OSError, h2.Gone):
        return False


def run_all(tap, folder):
    one, two = Node(folder, 1), Node(folder, 2)
    apps = {"api": App(FAR, 8081), "near": App(NEAR, 8081)}
    relay = None
    try:
        if not boot(tap, one, two, NODE_1, NODE_2):
            return
        ready = wait_for(lambda: answers(CLIENT) and answers(LOCAL), 20)
        if not tap.ok(ready, "requests pass", one.said() + two.said()):
            return
        relay = Relay(RELAY, (two.addr, 7400), "api.lab", one, "web")
        if not tap.ok(answers(RELAY), "a request passes through the relay", two.said()):
            return
        run_table(tap, (one, two), apps)
        half_heads(tap, (one, two))
        slow_readers(tap, (one, two))
        bad_applications(tap, (one, two))
        haproxy.score(
            tap,
            folder,
            HAPROXY_CONFIG,
            lambda: answers(HAPROXY),
            lambda: haproxy_results(apps["api"]),
        )
    finally:
        if relay:
            relay.close()
        for node in (one, two):
            node.stop()
        for app in apps.values():
            app.close()


if __name__ == "__main__":
    sys.exit(main(run_all, "parley-rows-h2-"))
