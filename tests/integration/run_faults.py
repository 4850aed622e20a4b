#!/usr/bin/env python3
"""The rows N24 to N33, N47 and N49 to N55 of the fault catalogue on three hosts: what
applications, clients, networks and operators do wrong, and what must come of it.

Time limit: 300 s

h1 calls; `api` runs on h2 and h3, everything else on h2. No request is sent twice by the client.
"""

import ctypes
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

from faults_app import APP, ECHO
from faults_dns import n32
from inside import Net, read_all, read_until
from lab import Lab, Tap, binary, patient, run, skip_all, timed, wait_for
from manager import Manager

API = (
    '[service.api]\nlocal = "127.0.0.1:8081"\nallow = ["web"]\nhealth = "none"\n'
    '[service.only]\nlocal = "127.0.0.1:8081"\nallow = ["web"]\nhealth = "none"\n'
    '[service.echo]\nlocal = "127.0.0.1:8082"\nprotocol = "tcp"\nallow = ["web"]\n'
)
API3 = '[service.api]\nlocal = "127.0.0.1:8081"\nallow = ["web"]\nhealth = "none"\n'
WEB = (
    '[service.web]\nlocal = "127.0.0.1:8080"\nhealth = "none"\n'
    '[upstream.api]\nlisten = "127.0.0.1:9001"\n'
    '[upstream.only]\nlisten = "127.0.0.1:9002"\nrequest_timeout = "2s"\nidle_timeout = "2s"\n'
    '[upstream.echo]\nlisten = "127.0.0.1:9003"\nprotocol = "tcp"\n'
)


class Site:
    def __init__(self, lab, tap):
        self.lab = lab
        self.tap = tap
        self.h1, self.h2, self.h3 = (lab.host[n] for n in (1, 2, 3))
        self.net = Net(self.h1, "127.0.0.1")
        for name, text in (("app.py", APP), ("echo.py", ECHO)):
            with open(self.path(name), "w") as f:
                f.write(text)

    def path(self, name):
        return os.path.join(self.lab.folder, name)

    def start(self):
        for h in (self.h2, self.h3):
            h.app = h.spawn(sys.executable, self.path("app.py"), h.name, self.lab.folder, log="app")
        self.h2.spawn(sys.executable, self.path("echo.py"), log="app")
        self.h1.config(WEB)
        self.h2.config(API)
        self.h3.config(API3)
        for h in self.lab.host.values():
            r = h.parley("reload", "--wait")
            self.tap.ok(r.returncode == 0, f"{h.name} takes its services", r.stdout + r.stderr)
        up = lambda: all(
            set(self.h1.endpoint_states(s).values()) == {"up"}
            and len(self.h1.endpoint_states(s)) == n
            for s, n in (("api", 2), ("only", 1), ("echo", 1))
        )
        return self.tap.ok(wait_for(up, 20), "every endpoint is up") and self.serves()

    def seen(self, what):
        """How often an application noted a line with this."""
        total = 0
        for name in ("h2", "h3"):
            try:
                with open(self.path(f"seen-{name}")) as f:
                    total += sum(1 for line in f if what in line)
            except OSError:
                pass
        return total

    def get(self, target, port=9002, method="GET", body=b""):
        s = self.net.tcp(port)
        s.settimeout(patient(10))
        head = f"{method} {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
        if body:
            head += f"Content-Length: {len(body)}\r\n"
        s.sendall(head.encode() + b"\r\n" + body)
        return read_all(s).decode("latin-1")

    def serves(self):
        """All is well again, on every path."""
        good = lambda: all(" 200 " in self.get("/well", port)[:13] for port in (9001, 9002))
        return self.tap.ok(wait_for(good, 15), "and all is well behind it")


def status(answer):
    return int(answer[9:12]) if answer.startswith("HTTP/1.1 ") else 0


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


def n26_27(site, tap):
    answer = site.get("/silent")
    tap.ok(status(answer) == 504, "N26: who accepts and never answers is a 504", answer)
    answer = site.get("/drip")
    tap.ok(
        answer.endswith("\r\n\r\nxxxxx"), "N27: a slow application that goes on is heard", answer
    )
    answer = site.get("/stall")
    ended = wait_for(lambda: site.seen("stall ended"), 10)
    tap.ok(
        status(answer) == 200 and "half" in answer and len(answer) < 200 and ended,
        "N27: one that stops is cut at the idle limit, and hears of it",
        answer,
    )


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


def n29(site, tap):
    site.h2.app.kill()
    site.h2.app.wait()
    codes = [status(site.get(f"/n29/{i}", 9001)) for i in range(20)]
    tap.ok(codes == [200] * 20, "N29: a closed port: the next endpoint serves", codes)
    site.h2.app = site.h2.spawn(
        sys.executable, site.path("app.py"), "h2", site.lab.folder, log="app"
    )
    site.serves()
    # Without links: those that are there would go on.
    run(["ip", "netns", "exec", site.h1.netns, "ss", "-K", "dport", "=", ":7400"])
    nft(site.h2, "tcp dport 7400 drop")
    codes = [status(site.get(f"/hole/{i}", 9001)) for i in range(6)]
    tap.ok(codes == [200] * 6, "N29: a black hole: the next endpoint serves", codes)
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
    s = site.net.tcp(9002)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.sendall(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
    tap.ok(
        wait_for(lambda: site.seen("big cut"), 20),
        "N31: a client that reads nothing holds its application back and is cut at the idle limit",
    )
    s.close()


def descriptors(host):
    return len(os.listdir(f"/proc/{host.agent.pid}/fd"))


def cpu_ticks(host):
    with open(f"/proc/{host.agent.pid}/stat") as f:
        fields = f.read().rsplit(") ", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def n33(site, tap):
    """O04 too: the client's own parley has few descriptors and many connections."""
    held = descriptors(site.h1)
    limit = held + 120
    agent = f"--pid={site.h1.agent.pid}"
    before = run(["prlimit", agent, "--nofile", "-o", "SOFT", "--noheadings"]).stdout.strip()
    run(["prlimit", agent, f"--nofile={limit}:"], check=True)
    code = """
import socket, sys
held = []
for i in range(400):
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(("127.0.0.1", 9001))
    held.append(s)
print("held", flush=True)
sys.stdin.readline()
"""
    p = subprocess.Popen(
        site.h1.prefix() + [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    p.stdout.readline()
    full = wait_for(lambda: descriptors(site.h1) > limit - 80, 10)
    ticks, at = cpu_ticks(site.h1), time.monotonic()
    r = site.h1.parley("status")
    members = site.h1.ask("members")
    time.sleep(2)
    share = (cpu_ticks(site.h1) - ticks) / os.sysconf("SC_CLK_TCK") / (time.monotonic() - at)
    tap.ok(full, "N33: connections beyond the descriptors", f"{descriptors(site.h1)} of {limit}")
    tap.ok(
        r.returncode == 0 and members,
        "the admin socket answers from reserved descriptors",
        r.stdout + r.stderr,
    )
    tap.ok(share < 0.3, f"accepting pauses and does not spin ({share:.0%} of a core)")
    p.stdin.write("end\n")
    p.stdin.flush()
    p.wait()
    site.serves()
    run(["prlimit", agent, f"--nofile={before}:"], check=True)


def n47(site, tap):
    def memory():
        with open(f"/proc/{site.h1.agent.pid}/status") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])

    bad = []
    stop = threading.Event()

    def ask():
        while not stop.is_set():
            answer = site.get("/n47", 9001)
            if status(answer) != 200:
                bad.append(answer)

    thread = threading.Thread(target=ask)
    thread.start()
    reload = lambda: os.kill(site.h1.agent.pid, signal.SIGHUP)
    for _ in range(50):
        reload()
        time.sleep(0.01)
    warm = memory()
    for _ in range(550):
        reload()
        time.sleep(0.01)
    done = lambda: site.h1.parley("ready").returncode == 0
    wait_for(done, 10)
    after = memory()
    stop.set()
    thread.join()
    tap.ok(not bad, "N47: 600 reloads, no request fails", "\n".join(bad[:3]))
    with open(f"/proc/{site.h1.agent.pid}/maps") as f:
        sanitized = "libasan" in f.read()
    # The sanitizer keeps what was freed, to see who still uses it.
    if sanitized:
        tap.skip("and memory stays", "a sanitizer's heap grows")
    else:
        tap.ok(after < warm + 2048, f"and memory stays ({warm} to {after} KiB)")


def n49_50(site, tap):
    h = site.h2
    result = []
    ask = threading.Thread(target=lambda: result.append(site.get("/late", 9001)))
    # To the host that will end: the other's parley does not take new ones meanwhile.
    site.h3.parley("drain", "--timeout", "1s")
    wait_for(lambda: site.h1.endpoint_states("api").get("h3") != "up", 10)
    ask.start()
    begun = wait_for(lambda: site.seen("late begun"), 10)
    site.h3.parley("undrain")
    wait_for(lambda: site.h1.endpoint_states("api").get("h3") == "up", 10)
    os.kill(h.agent.pid, signal.SIGTERM)
    gone = wait_for(lambda: site.h1.endpoint_states("api").get("h2") != "up", 10)
    codes = [status(site.get("/n49", 9001)) for _ in range(10)]
    alive = h.agent.poll() is None
    with open(site.path("go"), "w"):
        pass
    ask.join(patient(20))
    code = h.agent.wait(timeout=patient(30))
    tap.ok(
        begun and gone and alive and codes == [200] * 10,
        "N49: SIGTERM with a long answer under way: it leaves, others serve, it waits",
        f"{begun} {gone} {alive} {codes}",
    )
    tap.ok(
        code == 0 and result and status(result[0]) == 200,
        "and ends with 0 when the answer has left",
        f"{code} {result}",
    )
    h.up()
    for first in (b"", b"\x16\x03\x01"):
        s = Net(site.h1, h.addr).tcp(7400)
        s.sendall(first)
        os.kill(h.agent.pid, signal.SIGTERM)
        if first:
            os.kill(h.agent.pid, signal.SIGTERM)
        code = h.agent.wait(timeout=patient(30))
        how = "twice, in a hello" if first else "with a connection that says nothing"
        tap.ok(code == 0, f"N50: SIGTERM {how} ends with 0", f"{code}\n{h.log()[-2000:]}")
        s.close()
        h.up()
    site.serves()


def n51(site, tap):
    """One data thread stopped, as by a debugger: the watchdog must starve."""
    h = site.h3
    h.kill(signal.SIGTERM)
    manager = Manager(site.path("notify"))
    log = open(site.path("h3.log"), "ab")
    env = {"WATCHDOG_USEC": "2000000"}
    argv = [binary(), "up", "--root", h.root]
    how = {"stdout": log, "stderr": log, "start_new_session": True}
    h.agent = manager.start(argv, h.prefix(), env=env, **how)
    site.lab.processes.append(h.agent)
    fed = manager.wait("READY=1", 10) and manager.wait("WATCHDOG=1", 10)
    tasks = sorted(int(t) for t in os.listdir(f"/proc/{h.agent.pid}/task"))
    libc = ctypes.CDLL(None, use_errno=True)
    attach, detach = 16, 17
    worker = tasks[-1]
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    stopped = libc.ptrace(attach, worker, None, None) == 0
    os.waitpid(worker, 0x40000000)
    time.sleep(1.5)
    manager.forget()
    starved = manager.wait("WATCHDOG=1", 0.5) is None
    libc.ptrace(detach, worker, None, None)
    again = manager.wait("WATCHDOG=1", 10)
    tap.ok(
        fed and stopped and starved and again,
        "N51: a data thread that is stuck starves the watchdog, and only then",
        f"fed={bool(fed)} stopped={stopped} starved={starved} again={bool(again)}",
    )


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


def n53(site, tap):
    mark = [len(h.log()) for h in (site.h1, site.h3)]
    noise = [
        site.h2.spawn(sys.executable, "-c", "while True: sum(range(10**6))", log="noise")
        for _ in range(4 * (os.cpu_count() or 1))
    ]
    end = time.monotonic() + 10
    codes = []
    while time.monotonic() < end:
        codes.append(status(site.get("/n53", 9001)))
    for p in noise:
        p.kill()
        p.wait()
    gone = lost(site, mark)
    tap.ok(
        codes and set(codes) == {200} and not gone,
        f"N53: four busy neighbours a core: {len(codes)} requests served, nobody is given up",
        f"{sorted(set(codes))} {gone}",
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


def n55(site, tap):
    site.h1.run("sysctl", "-qw", "net.core.somaxconn=8")
    site.h1.config(WEB + '[upstream.api2]\nlisten = "127.0.0.1:9009"\nas = "web"\n')
    r = site.h1.parley("reload", "--wait")
    code = """
import socket
held = []
for i in range(200):
    s = socket.create_connection(("127.0.0.1", 9009), timeout=60)
    s.sendall(b"GET /n55 HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n")
    held.append(s)
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
    got = site.h1.run(sys.executable, "-c", code, timeout=patient(60))
    tap.ok(
        r.returncode == 0 and got.stdout.strip() == "200",
        "N55: a backlog of 8 and 200 connects: every connection is served",
        got.stdout + got.stderr,
    )
    site.h1.run("sysctl", "-qw", "net.core.somaxconn=4096")


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
                n26_27,
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
