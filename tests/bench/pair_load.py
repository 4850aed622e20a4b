"""Load generators of tests/bench/pair.py. Each `Load` starts one program against an address and,
when it has ended, says what came of it:

    requests, seconds, and where the program tells: p50_us, p99_us; for bulk: bytes

`errors` is not 0 where an answer was not a 200 or a connection broke: such a round counts for
nothing.
"""

import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time

import pair_place
import pair_rigs

UNIT_US = {"us": 1, "ms": 1000, "s": 1_000_000, "m": 60_000_000}


def micros(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * UNIT_US[unit]


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


class Load:
    programs = ()
    beside = None  # called in the program's process before it starts

    def __init__(self, kind, path):
        self.kind = kind
        self.path = path

    def run(self, rig, seconds):
        """Runs to the end; the result, with the CPU time of the rig meanwhile."""
        argv = self.argv(rig, seconds)
        before = rig.cpu_ns()
        p = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=self.beside,
        )
        time.sleep(seconds / 2)
        rig.during()
        resident = rig.rss_kib()
        text, _ = p.communicate(timeout=seconds + 60)
        cpu = rig.cpu_ns() - before
        result = self.parse(text.decode(errors="replace"), seconds)
        if p.returncode != 0:
            result["errors"] = result.get("errors", 0) + 1
        result.update(cpu_us=cpu / 1000, rss_kib=resident)
        return result

    def url(self, rig):
        return f"http://{rig.host}:{rig.port(self.kind)}{self.path}"


class Wrk(Load):
    """HTTP/1.1 with keep-alive, or with a connection for each request; closed loop."""

    programs = ("wrk",)

    def __init__(self, path, connections, close=False):
        super().__init__("http", path)
        self.connections = connections
        self.close = close

    def argv(self, rig, seconds):
        argv = ["wrk", "-t1", f"-c{self.connections}", f"-d{seconds}s", "--latency"]
        if self.close:
            argv += ["-H", "Connection: close"]
        return argv + ["-H", "User-Agent: wrk/4.1.0", self.url(rig)]

    def parse(self, text, seconds):
        done = re.search(r"(\d+) requests in ([\d.]+\w+),", text)
        times = dict(re.findall(r"^\s+(50|99)%\s+(\S+)$", text, re.M))
        if not done or len(times) != 2:
            return {"errors": 1, "requests": 0, "seconds": seconds, "text": text}
        bad = [int(n) for n in re.findall(r"Non-2xx or 3xx responses: (\d+)", text)]
        broken = re.search(
            r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text
        )
        if broken:
            bad += [int(n) for n in broken.groups()]
        return {
            "requests": int(done[1]),
            "seconds": micros(done[2]) / 1e6,
            "p50_us": micros(times["50"]),
            "p99_us": micros(times["99"]),
            "errors": sum(bad),
        }


class Calls(Wrk):
    """As Wrk, with the system calls of both sides counted by the kernel's tracepoints."""

    programs = ("wrk", "perf")
    NAMES = {
        "send": ("sendto", "sendmsg", "write", "writev"),
        "receive": ("recvfrom", "recvmsg", "read", "readv"),
        "wait": ("epoll_wait", "epoll_pwait"),
        "control": ("epoll_ctl", "setsockopt", "timerfd_settime", "clock_gettime"),
    }

    def run(self, rig, seconds):
        events = [f"syscalls:sys_enter_{n}" for names in self.NAMES.values() for n in names]
        counters = []
        for number, side in enumerate(rig.side):
            pids = ",".join(str(pid) for pid in pair_rigs.family(side.pid))
            path = os.path.join(rig.folder, f"calls.{number}")
            argv = ["perf", "stat", "-x", ",", "-o", path, "-e", ",".join(events), "-p", pids]
            counters.append((path, subprocess.Popen(argv, stderr=subprocess.DEVNULL)))
        # It says nowhere that it has begun.
        time.sleep(0.5)
        result = super().run(rig, seconds)
        result["calls"] = [self.counted(*c) for c in counters]
        return result

    def counted(self, path, perf):
        """The calls of each kind; {}: this kernel does not count them for us."""
        perf.send_signal(signal.SIGINT)
        perf.wait()
        found = {}
        if os.path.exists(path):
            with open(path) as f:
                for number, event in re.findall(
                    r"^(\d+),,syscalls:sys_enter_(\w+),", f.read(), re.M
                ):
                    found[event] = int(number)
        if not found:
            return {}
        return {kind: sum(found.get(n, 0) for n in names) for kind, names in self.NAMES.items()}


class Even(Load):
    """An even open loop (pair_even.c) at half of a rig's saturation, and the origin alone at that
    rate right behind it: the difference is what the rig adds. Saturation is what comes through of
    an even loop of too much: of the rate that a closed loop reaches, which sends in batches and so
    costs less. All in the same place, pair_place.two_hosts, whichever rig it is. `stalled` requests
    met a stall of the machine (stall.h) and are in no percentile."""

    programs = ("wrk",)
    origin = None  # the rigs' Origin, once it runs

    def __init__(self, path, connections):
        super().__init__("http", path)
        self.connections = connections

    def run(self, rig, seconds):
        front = (rig.host, rig.port(self.kind))
        with pair_place.two_hosts(rig, self.origin) as beside_load:
            self.beside = beside_load
            # In every round: what a shared machine can do is not the same for long.
            half = int(self.saturation(rig, front, seconds) / 2)
            self.to = (*front, half)
            result = super().run(rig, seconds)
            self.to = (pair_rigs.ORIGIN, pair_rigs.ORIGIN_HTTP, half)
            alone = super().run(rig, seconds)
        result["errors"] += alone["errors"]
        result.update({f"direct_{key}": alone.get(key) for key in ("p50_us", "p99_us")})
        return result

    def saturation(self, rig, front, seconds):
        closed = Wrk(self.path, self.connections)
        closed.beside = self.beside
        done = closed.run(rig, seconds)
        self.to = (*front, int(done["requests"] / done["seconds"]))
        return super().run(rig, seconds)["a_second"]

    def argv(self, rig, seconds):
        host, port, rate = self.to
        program = os.path.join(pair_rigs.ROOT, "build/rel/bench/pair_even")
        how = [str(n) for n in (rate, seconds, self.connections)]
        return [program, f"{host}:{port}", self.path, *how]

    def parse(self, text, seconds):
        try:
            told = json.loads(text)
        except ValueError:
            return {"errors": 1, "requests": 0, "seconds": seconds, "text": text}
        return {"errors": told.pop("failed"), "seconds": seconds, **told}


class H2load(Load):
    """HTTP/2 with prior knowledge: streams on each of some connections; with a body as gRPC has it,
    when `unary`."""

    programs = ("h2load",)

    def __init__(self, kind, path, connections, streams=1, unary=False):
        super().__init__(kind, path)
        self.connections = connections
        self.streams = streams
        self.unary = unary

    def argv(self, rig, seconds):
        self.log = os.path.join(rig.folder, "h2load.log")
        if os.path.exists(self.log):
            os.unlink(self.log)
        argv = ["h2load", "-t1", f"-c{self.connections}", f"-m{self.streams}", f"-D{seconds}"]
        argv += [f"--log-file={self.log}"]
        if self.unary:
            body = pair_rigs.write(f"{rig.folder}/message", "\0\0\0\0\x64" + "x" * 100)
            argv += ["-d", body, "-H", "content-type: application/grpc", "-H", "te: trailers"]
        return argv + [self.url(rig)]

    def parse(self, text, seconds):
        done = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", text)
        codes = re.search(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx", text)
        if not done or not codes or int(done[1]) == 0:
            return {"errors": 1, "requests": 0, "seconds": seconds, "text": text}
        with open(self.log) as f:
            times = [int(line.split("\t")[2]) for line in f]
        return {
            "requests": int(done[1]),
            "seconds": seconds,
            "p50_us": statistics.median(times),
            "p99_us": percentile(times, 0.99),
            "errors": int(done[2]) + sum(int(n) for n in codes.groups()[2:]),
        }


class Pull(Load):
    """A download without end on each of some connections, thrown away in the kernel."""

    SCRIPT = """
import selectors, socket, sys, time
host, port, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
count, seconds = int(sys.argv[4]), float(sys.argv[5])
selector, buffer, total = selectors.DefaultSelector(), bytearray(1 << 20), 0
for _ in range(count):
    s = socket.create_connection((host, port))
    s.sendall(f"GET {path} HTTP/1.1\\r\\nHost: api\\r\\n\\r\\n".encode())
    if not s.recv(12) == b"HTTP/1.1 200": sys.exit(1)
    s.setblocking(False)
    selector.register(s, selectors.EVENT_READ)
begun = time.monotonic()
while time.monotonic() < begun + seconds:
    for key, _ in selector.select(1):
        n = key.fileobj.recv_into(buffer, 1 << 20, socket.MSG_TRUNC)
        if n == 0: sys.exit(1)
        total += n
print(total, time.monotonic() - begun)
"""

    def __init__(self, kind, connections):
        super().__init__(kind, "/bulk")
        self.connections = connections

    def argv(self, rig, seconds):
        where = [rig.host, str(rig.port(self.kind)), self.path]
        return [sys.executable, "-c", self.SCRIPT, *where, str(self.connections), str(seconds)]

    def parse(self, text, seconds):
        words = text.split()
        if len(words) != 2:
            return {"errors": 1, "bytes": 0, "seconds": seconds, "text": text}
        return {"bytes": int(words[0]), "seconds": float(words[1]), "errors": 0}


class Idle:
    """Connections that had one request each and stay: what the rig keeps resident for them."""

    SCRIPT = """
import resource, socket, sys
host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
held = []
for _ in range(count):
    s = socket.create_connection((host, port))
    s.sendall(b"GET /1k HTTP/1.1\\r\\nHost: api\\r\\n\\r\\n")
    got = b""
    while not got.endswith(b"xxxx"):
        some = s.recv(4096)
        if not some: sys.exit(1)
        got += some
    held.append(s)
print("held", flush=True)
sys.stdin.read()
"""
    programs = ()
    kind = "idle"

    def __init__(self, connections):
        self.connections = connections

    def run(self, rig, seconds):
        where = [rig.host, str(rig.port("http")), str(self.connections)]
        before = rig.rss_kib()
        pipe = subprocess.PIPE
        p = subprocess.Popen([sys.executable, "-c", self.SCRIPT, *where], stdin=pipe, stdout=pipe)
        held = p.stdout.readline() == b"held\n"
        after = rig.rss_kib()
        p.stdin.close()
        p.wait(60)
        return {
            "errors": 0 if held else 1,
            "connections": self.connections,
            "more_kib": sum(after) - sum(before),
            "rss_kib": after,
        }
