#!/usr/bin/env python3
"""The rows N24 to N33, N47 and N49 to N55 of the fault catalogue on three hosts: what
applications, clients, networks and operators do wrong, and what must come of it.

Time limit: 300 s
"""

import math
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from faults_dns import n32
from faults_process import n33, n47, n49_50, n50_begin, n50_end, n51
from faults_site import WEB, Site, resident_kib, sanitized
from inside import read_all, read_until, status
from lab import Lab, Tap, binary, patient, run, skip_all, timed, wait_for


def nft(host, *rules):
    text = "table inet fault { chain in { type filter hook input priority 0; %s } ; }"
    r = subprocess.run(
        host.prefix() + ["nft", "-f", "-"],
        input=text % " ".join(r + ";" for r in rules),
        text=True,
        capture_output=True,
    )
    assert r.returncode == 0, r.stderr


def heal(host):
    host.run("nft", "delete", "table", "inet", "fault")


def n24(site, tap):
    """N50 waits meanwhile: the limit of a drain, on h3."""
    tunnel = n50_begin(site)
    s = site.net.tcp(9003)
    s.sendall(b"before")
    first = read_until(s, b"before")
    nft(site.h2, "tcp dport 7400 drop", "tcp sport 7400 drop")
    begun = time.monotonic()
    s.sendall(b"behind")
    s.settimeout(patient(60))
    rest = read_all(s)
    took = time.monotonic() - begun
    tap.ok(
        first == b"before" and b"behind" not in rest and took < patient(60),
        f"N24: a session whose packets vanish silently ends ({took:.1f} s)",
        rest,
    )
    answer = site.get("/n24")
    tap.ok(status(answer) in (503, 504, 502), "and no request waits for ever", answer)
    heal(site.h2)
    n50_end(site, tap, tunnel)
    site.serves()


def n25(site, tap):
    for path, codes in (("/reset-head", (502,)), ("/reset-at-once", (502, 503))):
        before = site.seen("POST " + path)
        answer = site.get(path, method="POST", body=b"x")
        count = site.seen("POST " + path) - before
        tap.ok(
            status(answer) in codes and count == 1,
            f"N25: POST {path}: an error, and it is never sent again",
            f"{count} times\n{answer}",
        )
    answer = site.get("/reset-body")
    body = answer.split("\r\n\r\n", 1)[-1]
    tap.ok(
        status(answer) == 200 and len(body) < 100,
        "N25: an answer that is cut never looks complete",
        answer,
    )


def n26(site, tap):
    """So many at once that five in a row fail in some worker, whichever takes which."""
    count = 4 * (os.cpu_count() or 1) + 1
    before = site.seen("GET /silent")
    with ThreadPoolExecutor(count) as pool:
        codes = [status(a) for a in pool.map(site.get, ["/silent"] * count, [9004] * count)]
    tap.ok(
        codes == [504] * count and site.seen("GET /silent") > before,
        "N26: who accepts and never answers is a 504",
        codes,
    )
    rows = lambda: site.h1.ask("endpoints", "mute") or [{}]
    is_open = wait_for(lambda: rows()[0].get("circuit") == "open", 5)
    gauge = site.metric('parley_endpoints_ejected{service="mute"}')
    total = site.metric('parley_endpoint_ejections_total{service="mute"}')
    tap.ok(
        is_open and gauge >= 1 and total >= 1,
        "and is ejected, as `parley endpoints` and /metrics show",
        f"{rows()} ejected={gauge} ejections={total}",
    )

    def closed():
        site.get("/well", 9004)
        return rows()[0].get("circuit") == "closed"

    tap.ok(wait_for(closed, 15), "until it answers again", rows())


def n27(site, tap):
    """Eight answers, a byte at a time."""
    pool = ThreadPoolExecutor(2)
    drip, stall = pool.submit(site.get, "/drip"), pool.submit(site.get, "/stall")
    slow = [site.net.tcp(9002) for _ in range(8)]
    for s in slow:
        s.settimeout(patient(10))
        s.sendall(b"GET /trickle HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    heads = [read_until(s, b"\r\n\r\n") for s in slow]
    hosts = (site.h1, site.h2)
    before = [resident_kib(h) for h in hosts]
    bodies = [read_all(s) for s in slow]
    after = [resident_kib(h) for h in hosts]
    for s in slow:
        s.close()
    good = all(b" 200 " in h[:13] for h in heads) and bodies == [b"x" * 400] * 8
    tap.ok(good, "N27: slow applications that go on are heard", f"{heads} {bodies}")
    if any(sanitized(h) for h in hosts):
        tap.skip("and memory stays", "a sanitizer's heap grows")
    else:
        flat = all(b < a + 512 for a, b in zip(before, after))
        tap.ok(flat, f"and memory stays ({before} to {after} KiB)")
    answer = drip.result()
    tap.ok(answer.endswith("\r\n\r\nxxxxx"), "and one that is silent between, too", answer)
    answer = stall.result()
    ended = wait_for(lambda: site.seen("stall ended"), 10)
    tap.ok(
        status(answer) == 200 and "half" in answer and len(answer) < 200 and ended,
        "N27: one that stops is cut at the idle limit, and hears of it",
        answer,
    )
    pool.shutdown()


def n28(site, tap):
    good, s = 0, None
    for i in range(100):
        s = s or site.net.tcp(9002)
        s.sendall(f"GET /tenth/{i} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        head = read_until(s, b"\r\n\r\n").decode()
        m = re.search(r"content-length: (\d+)", head)
        body = b""
        while m and len(body) < int(m[1]):
            body += s.recv(int(m[1]) - len(body))
        good += head.startswith("HTTP/1.1 200") and body.endswith(f"/tenth/{i} HTTP/1.1".encode())
        if "connection: close" in head or not head:
            s = None
    tap.ok(good == 100, f"N28: an application that closes every tenth connection: {good} of 100")


def slowest(site, targets):
    """The codes of these requests, and how many seconds the slowest took."""
    codes, worst = [], 0
    for target in targets:
        s = site.net.tcp(9001)
        s.settimeout(patient(10))
        begun = time.monotonic()
        codes.append(status(site.exchange(s, target)))
        worst = max(worst, time.monotonic() - begun)
    return codes, worst


def n29(site, tap):
    """The bounds tell a promise from the kernel's own two minutes."""
    retries = lambda: site.metric("parley_retries_total{")
    rules = site.h1.parley("config", "show", "--effective").stdout
    m = re.search(r'upstream\.api\.connect_timeout = "(\d+)ms"', rules)
    tap.ok(m and int(m[1]) <= 1000, "N29: a connect timeout of at most a second is usual", rules)
    site.h2.app.kill()
    site.h2.app.wait()
    before = retries()
    codes, worst = slowest(site, [f"/n29/{i}" for i in range(20)])
    again = retries() - before
    tap.ok(
        codes == [200] * 20 and again >= 1 and worst < patient(0.5),
        f"N29: a closed port: the next endpoint serves ({again:.0f} times, {worst * 1000:.0f} ms)",
        codes,
    )
    site.h2.app = site.h2.spawn(
        sys.executable, site.path("app.py"), "h2", site.lab.folder, log="app"
    )
    site.serves()
    # Without links: those that are there would go on.
    run(["ip", "netns", "exec", site.h1.netns, "ss", "-K", "dport", "=", ":7400"])
    nft(site.h2, "tcp dport 7400 drop")
    codes, worst = slowest(site, [f"/hole/{i}" for i in range(6)])
    tap.ok(
        codes == [200] * 6 and worst < patient(1),
        f"N29: a black hole: the next endpoint serves ({worst * 1000:.0f} ms)",
        codes,
    )
    heal(site.h2)
    site.serves()


def n30_31(site, tap):
    s = site.net.tcp(9001)
    s.sendall(b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 70000)
    arrived = wait_for(lambda: site.seen("POST /upload"), 10)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
    tap.ok(
        arrived and wait_for(lambda: site.seen("upload cut"), 10),
        "N30: an upload that its client aborts is cancelled at the application",
    )
    # The interim answer, which asks whether anyone is there, says that the end was seen.
    s = site.net.tcp(9001)
    s.settimeout(patient(10))
    s.sendall(b"GET /late-half HTTP/1.1\r\nHost: a\r\n\r\n")
    s.shutdown(socket.SHUT_WR)
    interim = read_until(s, b"\r\n\r\n")
    site.go("late-half")
    answer = read_all(s)
    tap.ok(
        b" 100 " in interim[:13] and b" 200 " in answer[:13] and answer.endswith(b" HTTP/1.1"),
        "N30: a client that ends its side behind the request gets the answer",
        interim + answer,
    )
    s = site.net.tcp(9003)
    s.settimeout(patient(10))
    s.sendall(b"last words")
    s.shutdown(socket.SHUT_WR)
    answer = read_all(s)
    tap.ok(answer == b"last wordsend", "N30: and so does one of a TCP service", answer)
    s = site.net.tcp(9002)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.sendall(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
    tap.ok(
        wait_for(lambda: site.seen("big cut"), 20),
        "N31: a client that reads nothing holds its application back and is cut at the idle limit",
    )
    s.close()


def cpu_group(pid, percent):
    """A control group that gives this process so much of one core; None when there is no way."""
    name = f"parley-test-{os.getpid()}"
    for base, quota, text in (
        ("/sys/fs/cgroup/cpu", "cpu.cfs_quota_us", f"{percent * 1000}"),
        ("/sys/fs/cgroup", "cpu.max", f"{percent * 1000} 100000"),
    ):
        group = os.path.join(base, name)
        try:
            os.mkdir(group)
            with open(os.path.join(group, quota), "w") as f:
                f.write(text)
            with open(os.path.join(group, "cgroup.procs"), "w") as f:
                f.write(str(pid))
            return group
        except OSError:
            if os.path.isdir(group):
                os.rmdir(group)
    return None


def lost(site, mark):
    """What hosts h1 and h3 have said since `mark` of members that they gave up."""
    logs = [h.log()[m:] for h, m in zip((site.h1, site.h3), mark)]
    return [l for log in logs for l in log.splitlines() if "now=dead" in l]


def n52(site, tap):
    mark = [len(h.log()) for h in (site.h1, site.h3)]
    group = cpu_group(site.h2.agent.pid, 5)
    if not group:
        tap.skip("N52: five percent of a core", "no control group may be made here")
        return
    end = time.monotonic() + 10
    codes = []
    while time.monotonic() < end:
        codes.append(status(site.get("/n52", 9001)))
    ready = site.h2.parley("ready").returncode == 0
    with open(os.path.join(os.path.dirname(group), "cgroup.procs"), "w") as f:
        f.write(str(site.h2.agent.pid))
    os.rmdir(group)
    gone = lost(site, mark)
    tap.ok(
        codes and set(codes) == {200} and ready and not gone,
        f"N52: five percent of a core: slow ({len(codes)} requests), alive and ready",
        f"{sorted(set(codes))} ready={ready} {gone}",
    )


# Each a neighbour: processor, a disk (8 MiB, over and over), memory (64 MiB, given back each time).
NOISE = {
    "cpu": "while True: sum(range(10**6))",
    "io": """
import os, sys
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
while True:
    for i in range(8):
        os.pwrite(fd, bytes(1 << 20), i << 20)
    os.fsync(fd)
""",
    "vm": """
import mmap
while True:
    m = mmap.mmap(-1, 64 << 20)
    for at in range(0, 64 << 20, 4096):
        m[at] = 1
    m.close()
""",
}
# Prints the codes and the times of the requests of so many seconds.
ASK = """
import http.client, sys, time
end = time.monotonic() + float(sys.argv[1])
while time.monotonic() < end:
    begun = time.monotonic()
    try:
        c = http.client.HTTPConnection("127.0.0.1", 9001, timeout=60)
        c.request("GET", "/n53")
        r = c.getresponse()
        r.read()
        c.close()
        print(r.status, time.monotonic() - begun)
    except OSError as e:
        print(0, time.monotonic() - begun)
"""


def n53(site, tap):
    mark = [len(h.log()) for h in (site.h1, site.h3)]
    ejections = site.metric("parley_endpoint_ejections_total{")
    kinds = ["cpu"] * (4 * (os.cpu_count() or 1)) + ["io", "vm"]
    noise = [
        site.h2.spawn(sys.executable, "-c", NOISE[k], site.path("noise-file"), log="noise")
        for k in kinds
    ]
    r = site.h1.run(sys.executable, "-c", ASK, "10", timeout=patient(60))
    stayed = all(p.poll() is None for p in noise)
    for p in noise:
        p.kill()
        p.wait()
    rows = [line.split() for line in r.stdout.splitlines()]
    codes = {code for code, _ in rows}
    times = sorted(float(t) for _, t in rows)
    p99 = times[math.ceil(0.99 * len(times)) - 1] if times else math.inf
    flaps = site.metric("parley_endpoint_ejections_total{") - ejections
    gone = lost(site, mark)
    tap.ok(
        stayed and codes == {"200"} and not gone and not flaps and p99 < patient(1),
        f"N53: busy neighbours of processor, disk and memory: {len(rows)} requests served, nobody "
        f"is given up (p99 {p99 * 1000:.0f} ms)",
        f"noise stayed={stayed} {codes} {gone} ejections={flaps} {r.stderr}",
    )


def n54(site, tap):
    """Few ports at the application's host: pooling makes do, and what cannot says so."""
    site.h2.run("sysctl", "-qw", "net.ipv4.ip_local_port_range=40000 40049")
    code = """
import http.client, sys, threading
codes = []
def ask(n):
    try:
        c = http.client.HTTPConnection("127.0.0.1", 9002, timeout=60)
        for i in range(5):
            c.request("GET", f"/n54/{n}/{i}")
            r = c.getresponse()
            r.read()
            codes.append((r.status, r.getheader("parley-reason") or ""))
        c.close()
    except Exception as e:
        codes.append((0, repr(e)))
threads = [threading.Thread(target=ask, args=(n,)) for n in range(100)]
for t in threads: t.start()
for t in threads: t.join()
print(len(codes), sorted(set(codes)))
"""
    r = site.h1.run(sys.executable, "-c", code, timeout=patient(60))
    site.h2.run("sysctl", "-qw", "net.ipv4.ip_local_port_range=32768 60999")
    count, _, rest = r.stdout.strip().partition(" ")
    kinds = eval(rest) if rest else []
    clear = all(c == 200 or (c in (502, 503) and why) for c, why in kinds)
    tap.ok(
        count == "500" and clear and any(c == 200 for c, _ in kinds),
        "N54: fifty local ports: each of 500 requests is served, or told why not",
        r.stdout + r.stderr,
    )
    site.serves()


# While parley stands still its queues overflow; argv: how many connects that takes.
BURST = """
import select, socket, sys
held = []
for i in range(int(sys.argv[1])):
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(("127.0.0.1", 9009))
    held.append(s)
print("begun", flush=True)
sys.stdin.readline()
for s in held:
    select.select([], [s], [], 60)
    s.settimeout(60)
held += [socket.create_connection(("127.0.0.1", 9009), timeout=60) for i in range(200)]
for s in held:
    s.sendall(b"GET /n55 HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n")
good = 0
for s in held:
    data = b""
    while True:
        more = s.recv(65536)
        if not more:
            break
        data += more
    good += data.startswith(b"HTTP/1.1 ")
print(good)
"""


def n55(site, tap):
    h = site.h1
    h.run("sysctl", "-qw", "net.core.somaxconn=8")
    h.config(WEB + '[upstream.api2]\nlisten = "127.0.0.1:9009"\nas = "web"\n')
    r = h.parley("reload", "--wait")
    queues = h.run("ss", "-Hltn", "sport", "=", ":9009").stdout.count("\n")
    count, drops = 9 * queues + 9, lambda: site.metric("parley_listen_drops_total ")
    before = drops()
    os.kill(h.agent.pid, signal.SIGSTOP)
    argv = h.prefix() + [sys.executable, "-c", BURST, str(count)]
    p = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    begun = p.stdout.readline()
    os.kill(h.agent.pid, signal.SIGCONT)
    out = p.communicate("go\n", timeout=patient(60))[0]
    tap.ok(
        r.returncode == 0 and begun and out.strip() == str(200 + count),
        f"N55: a backlog of 8 and {200 + count} connects: every connection is served",
        r.stderr + out,
    )
    dropped = drops() - before
    tap.ok(dropped >= 9, f"and what overflowed is counted ({dropped:.0f})")
    h.run("sysctl", "-qw", "net.core.somaxconn=4096")
    h.config(WEB)
    h.parley("reload", "--wait")


def main():
    if os.geteuid() != 0:
        skip_all("network namespaces need root")
    if not os.path.exists(binary()):
        skip_all("build/parley does not exist (make all)")
    tap = Tap()
    with Lab(3) as lab:
        site = Site(lab, tap)
        if lab.mesh(tap) and site.start():
            rows = (
                n24,
                n25,
                n26,
                n27,
                n28,
                n29,
                n30_31,
                n32,
                n33,
                n47,
                n49_50,
                n52,
                n53,
                n54,
                n55,
                n51,
            )
            wanted = [r for r in rows if len(sys.argv) < 2 or r.__name__ in sys.argv[1:]]
            timed(tap, wanted, site)
            lab.sound(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
