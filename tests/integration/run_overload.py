#!/usr/bin/env python3
"""The rows O01, O02 and O04 to O07 of the overload table on two hosts: many slow, rude or noisy
clients of one listener, and another client beside them that must not notice.

Time limit: 180 s
"""

import os
import re
import subprocess
import sys
import threading

from inside import Net, get, read_all
from lab import Lab, Tap, binary, held_connections, patient, run, skip_all, timed, wait_for

API = (
    '[service.api]\nlocal = "127.0.0.1:8081"\nallow = ["web"]\n'
    '[service.db]\nlocal = "127.0.0.1:8081"\nallow = ["web"]\n'
)
WEB = (
    '[service.web]\nlocal = "127.0.0.1:8080"\nhealth = "none"\n'
    '[upstream.api]\nlisten = "127.0.0.1:9001"\nrequest_timeout = "4s"\n'
    '[upstream.db]\nlisten = "127.0.0.1:9002"\nrequest_timeout = "1h"\n'
)
# Each speaks to 127.0.0.1:9001 inside the caller's namespace and prints what came of it.
SLOW_HEADS = """
import select, socket, time
count, begun = 2000, time.monotonic()
held = {}
for i in range(count):
    s = socket.create_connection(("127.0.0.1", 9001), timeout=60)
    s.sendall(b"GET / HTTP/1.1\\r\\nHost: a\\r\\nX: ")
    held[s.fileno()] = s
print("held", flush=True)
answers = {}
poll = select.epoll()
for fd in held:
    poll.register(fd, select.EPOLLIN)
while held and time.monotonic() < begun + 80:
    for fd, _ in poll.poll(1):
        try:
            data = held[fd].recv(4096)
        except OSError:
            data = b""
        if data.startswith(b"HTTP/"):
            code = data[9:12].decode()
            answers[code] = answers.get(code, 0) + 1
        elif not data:
            poll.unregister(fd)
            held.pop(fd).close()
    for s in list(held.values())[:50]:
        try:
            s.send(b"a")
        except OSError:
            pass
print(answers, len(held))
"""
# Of the second port, whose requests have an hour, only the least rate ends them.
SLOW_BODIES = """
import socket, sys, time
held = []
for i in range(50):
    s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=60)
    s.sendall(b"POST / HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 100000\\r\\n\\r\\nx")
    held.append(s)
codes = []
for s in held:
    s.settimeout(0.5)
    data = b""
    while True:
        try:
            more = s.recv(4096)
            if not more:
                break
            data += more
        except socket.timeout:
            try:
                s.send(b"x")
            except OSError:
                pass
        except OSError:
            break
    codes.append(data[9:12].decode())
print(sorted(set(codes)))
"""
# One event of a few bytes every two seconds, of a body that does not say how many there will be.
EVENTS = """
import socket, time
s = socket.create_connection(("127.0.0.1", 9002), timeout=60)
s.sendall(b"POST / HTTP/1.1\\r\\nHost: a\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n")
for i in range(7):
    s.sendall(b"5\\r\\nevent\\r\\n")
    time.sleep(2)
s.sendall(b"0\\r\\n\\r\\n")
print(s.recv(4096)[9:12].decode())
"""
RESETS = """
import socket, struct
for i in range(20000):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.connect(("127.0.0.1", 9001))
    if i % 3 == 1:
        s.sendall(b"GET /reset")
    if i % 3 == 2:
        s.sendall(b"GET /reset HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
    s.close()
print("done")
"""


class Site:
    def __init__(self, lab):
        self.h1, self.h2 = lab.host[1], lab.host[2]
        self.net = Net(self.h1, "127.0.0.1")

    def start(self, tap):
        argv = [binary(), "testapp", "echo", "--listen", "127.0.0.1:8081"]
        self.h2.spawn(*argv, log="app.log")
        self.h1.config(WEB)
        self.h2.config(API)
        for h in (self.h2, self.h1):
            r = h.parley("reload", "--wait")
            tap.ok(r.returncode == 0, f"{h.name} takes its services", r.stdout + r.stderr)
        up = lambda: self.h1.endpoint_states("api").get("h2") == "up"
        # Announced up is not called yet: certificates may still be on their way.
        called = lambda: up() and self.well()
        return tap.ok(wait_for(called, 15), "the application is up, and can be called")

    def child(self, code, *args):
        argv = self.h1.prefix() + [sys.executable, "-c", code, *args]
        return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def well(self):
        return "200 OK" in get(self.net.tcp(9001), "/well")

    def figure(self, field):
        with open(f"/proc/{self.h1.agent.pid}/status") as f:
            return int(re.search(field + r":\s+(\d+)", f.read())[1])

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.h1.agent.pid}/fd"))

    def metrics(self):
        argv = ["curl", "-s", "--unix-socket", f"{self.h1.root}/run/parley/parley.sock"]
        return self.h1.run(*argv, "http://localhost/metrics").stdout


def slow_heads(site, tap):
    p, bodies = site.child(SLOW_HEADS), site.child(SLOW_BODIES, "9002")
    p.stdout.readline()
    good = all(site.well() for _ in range(20))
    tap.ok(good, "O01: 2000 heads that do not end: others are served")
    out = p.communicate(timeout=patient(60))[0].strip()
    tap.ok(out == "{'408': 2000} 0", "and each is told 408 and closed", out)
    out = bodies.communicate(timeout=patient(60))[0].strip()
    tap.ok(out == "['408']", "O02: bodies below the least rate are a 408 meanwhile", out)


def events(site, tap):
    out = site.child(EVENTS).communicate(timeout=patient(60))[0].strip()
    tap.ok(out == "200", "events that come one by one are below the rate and taken", out)


def slow_bodies(site, tap):
    p = site.child(SLOW_BODIES, "9001")
    good = all(site.well() for _ in range(10))
    out = p.communicate(timeout=patient(60))[0].strip()
    tap.ok(good and out == "['408']", "O02: bodies that drip are a 408 at the request's limit", out)


def descriptors_gone(site, tap):
    limit = ["prlimit", f"--pid={site.h1.agent.pid}", "--nofile"]
    before = run([*limit, "-o", "SOFT", "--noheadings"]).stdout.strip()
    run([*limit[:2], "--nofile=256:"], check=True)
    p = site.child(held_connections(1000))
    p.stdout.readline()
    full = wait_for(lambda: site.descriptors() >= 180, 10)
    said = site.h1.parley("status")
    share = site.h1.busy(2)
    tap.ok(
        full and said.returncode == 0,
        "O04: 1000 connections, 256 descriptors: the operator is answered",
        f"{site.descriptors()} descriptors, {said.stderr}",
    )
    tap.ok(share <= 0.05, f"and accepting pauses without spinning ({share:.1%} of a core)")
    p.communicate("end\n")
    run([*limit[:2], f"--nofile={before}:"], check=True)
    tap.ok(wait_for(site.well, 10), "and goes on by itself")


def resets(site, tap):
    site.well()
    quiet = site.descriptors()
    memory = site.figure("VmRSS")
    p = site.child(RESETS)
    good = all(site.well() for _ in range(10))
    out = p.communicate(timeout=patient(60))[0].strip()
    tap.ok(good and out == "done", "O05: 20 000 connects with RST: others are served", out)
    back = wait_for(lambda: site.descriptors() <= quiet + 4, 15)
    grown = site.figure("VmRSS") - memory
    tap.ok(back, "no descriptor is left behind", f"{quiet} to {site.descriptors()}")
    # A sanitizer keeps what was freed, up to 256 MiB.
    tap.ok(
        grown < (8192 if "asan" not in binary() else 300000),
        f"and memory is bounded (+{grown} KiB)",
    )


def pipeline(site, tap):
    s = site.net.tcp(9001)
    count = 10000
    text = b"".join(b"GET /p%d HTTP/1.1\r\nHost: a\r\n\r\n" % i for i in range(count - 1))
    text += b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    s.settimeout(patient(10))
    # The bytes fit no socket buffer: they are written while the answers are read.
    t = threading.Thread(target=s.sendall, args=(text,))
    t.start()
    data = read_all(s).decode("latin-1")
    t.join()
    order = [int(n) for n in re.findall(r'"path":"/p(\d+)"', data)]
    tap.ok(
        data.count("HTTP/1.1 200 OK") == count and order == list(range(count - 1)),
        "O06: 10 000 pipelined requests are answered in order",
        f"{data.count('HTTP/1.1 200 OK')} answers, {len(order)} in order\n{data[:400]}",
    )


def labels(site, tap):
    s = site.net.tcp(9001)
    before = len(site.metrics().splitlines())
    for i in range(3000):
        s.sendall(b"GET /%d HTTP/1.1\r\nHost: h%d.example\r\n\r\n" % (i, i))
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += s.recv(1)
        n = int(re.search(rb"content-length: (\d+)", head.lower())[1])
        while n:
            n -= len(s.recv(n))
    after = len(site.metrics().splitlines())
    tap.ok(
        before > 50 and after - before < 50,
        f"O07: 3000 hosts and paths make no series of their own ({before} to {after} lines)",
    )


def main():
    if os.geteuid() != 0:
        skip_all("network namespaces need root")
    if not os.path.exists(binary()):
        skip_all("build/parley does not exist (make all)")
    tap = Tap()
    with Lab(2) as lab:
        site = Site(lab)
        if lab.mesh(tap) and site.start(tap):
            steps = (pipeline, labels, descriptors_gone, resets, events, slow_bodies, slow_heads)
            timed(tap, steps, site)
            tap.ok(site.well(), "and all is well behind it")
            lab.sound(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
