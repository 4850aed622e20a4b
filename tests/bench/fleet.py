"""Fleets: many agents of one kind, serf's or parley's, on loopback addresses of one network
namespace, with what they say of each other as timed events.

Used by serf_calibrate.py and versus_serf.py, which run in a namespace of their own (`inside`). Each
agent has an address 127.0.1.N and a user id of its own, so that the packets of one can be dropped
by nftables: marked where it sends them, dropped where they arrive, which the sender cannot see.
Times are of the moment a log line is read from the agent's pipe, the same for both kinds.
"""

import os
import random
import re
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
FIRST_UID = 20000
CLOCK_OF_PROCESS = 2  # clock_getcpuclockid(3), as the kernel numbers them
PAGE = os.sysconf("SC_PAGE_SIZE")


def missing(programs):
    """Why agents cannot be run here; None: they can."""
    if os.geteuid() != 0:
        return "needs root, for a network namespace"
    for name in programs:
        if shutil.which(name) is None:
            return f"{name} is not installed"
    return None


def inside(argv):
    """Runs this very script in a network namespace of its own; its exit code."""
    return subprocess.call(["unshare", "-n", sys.executable, sys.argv[0], *argv])


def command(*argv):
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)


class Reader(threading.Thread):
    """Reads the pipes of all agents and keeps what `parse` makes of their lines."""

    def __init__(self, parse):
        super().__init__(daemon=True)
        self.parse = parse
        self.events = []  # (monotonic seconds, observer, subject, state)
        self.selector = selectors.DefaultSelector()
        self.tails = []  # of each agent, for what went wrong

    def add(self, pipe, observer):
        while len(self.tails) <= observer:
            self.tails.append([])
        os.set_blocking(pipe.fileno(), False)
        self.selector.register(pipe, selectors.EVENT_READ, [observer, b""])

    def run(self):
        while True:
            for key, _ in self.selector.select(0.2):
                now = time.monotonic()
                data = key.fileobj.read(65536)
                if not data:
                    self.selector.unregister(key.fileobj)
                    key.fileobj.close()
                    continue
                *lines, key.data[1] = (key.data[1] + data).split(b"\n")
                for line in lines:
                    self.line(now, key.data[0], line.decode(errors="replace"))

    def line(self, now, observer, line):
        self.tails[observer] = self.tails[observer][-9:] + [line]
        found = self.parse(line)
        if found is not None:
            self.events.append((now, observer, *found))


class Fleet:
    """`start` brings all up; `close` ends them and removes what they wrote."""

    programs = ()

    def __init__(self, count):
        self.count = count
        self.folder = tempfile.mkdtemp(prefix="fleet")
        os.chmod(self.folder, 0o755)
        self.process = [None] * count
        self.reader = Reader(self.parse)
        command("ip", "link", "set", "lo", "up")

    def addr(self, i):
        return f"127.0.1.{i + 1}"

    def spawn(self, i, argv):
        self.process[i] = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            user=FIRST_UID + i,
            group=FIRST_UID + i,
            extra_groups=[],
            cwd=self.folder,
        )
        self.reader.add(self.process[i].stdout, i)

    def up(self, i):
        return self.process[i] is not None and self.process[i].poll() is None

    def start(self, stagger_s, limit_s):
        """All up, and each has seen each of the others alive. False: not in time."""
        self.reader.start()
        self.prepare()
        for i in range(self.count):
            self.launch(i)
            time.sleep(stagger_s)
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            seen = {
                (e[1], e[2]) for e in list(self.reader.events) if e[3] == "alive" and e[1] != e[2]
            }
            if len(seen) == self.count * (self.count - 1):
                return True
            time.sleep(0.2)
        for i in range(self.count):
            if not self.up(i):
                print(f"# {self.kind} agent {i} has ended:", *self.reader.tails[i], sep="\n#   ")
        print(f"# {self.kind}: {len(seen)} of {self.count * (self.count - 1)} see each other")
        return False

    def signal(self, i, number):
        self.process[i].send_signal(number)
        if number == signal.SIGKILL:
            self.process[i].wait()

    def drop(self, i):
        """Nothing to or from agent i arrives any more."""
        table = ("inet", "fleet")
        command("nft", "add", "table", *table)
        command("nft", "add", "chain", *table, "out", "{ type filter hook output priority 0; }")
        command("nft", "add", "chain", *table, "in", "{ type filter hook input priority 0; }")
        uid = str(FIRST_UID + i)
        command(
            "nft", "add", "rule", *table, "out", "meta", "skuid", uid, "meta", "mark", "set", "7"
        )
        command("nft", "add", "rule", *table, "in", "meta", "mark", "7", "drop")
        command("nft", "add", "rule", *table, "in", "ip", "daddr", self.addr(i), "drop")

    def undrop(self):
        command("nft", "delete", "table", "inet", "fleet")

    def usage(self):
        """Of all: bytes sent, IP headers included (lo counts no other), packets, CPU in ms."""
        with open("/proc/net/dev") as f:
            line = next(text for text in f if text.strip().startswith("lo:"))
        fields = line.split(":")[1].split()
        bytes_sent, packets = int(fields[8]), int(fields[9])
        cpu = sum(self.cpu_ms(i) for i in range(self.count) if self.up(i))
        return bytes_sent, packets, cpu

    def cpu_ms(self, i):
        """By its own clock, to the nanosecond: ticks of 10 ms would be most of an idle minute."""
        return time.clock_gettime(~self.process[i].pid << 3 | CLOCK_OF_PROCESS) * 1000.0

    def resident_kib(self):
        """Mean over all that are up."""
        total, up = 0, 0
        for i in range(self.count):
            if self.up(i):
                with open(f"/proc/{self.process[i].pid}/statm") as f:
                    total += int(f.read().split()[1]) * PAGE
                up += 1
        return total / 1024 / up

    def close(self):
        for p in self.process:
            if p is not None and p.poll() is None:
                p.kill()
        for p in self.process:
            if p is not None:
                p.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


class Serf(Fleet):
    kind = "serf"
    programs = ("serf", "unshare", "nft", "ip")
    states = {"Join": "alive", "Failed": "dead", "Leave": "left"}
    pattern = re.compile(r"serf: EventMember(Join|Failed|Leave): s(\d+)")

    def parse(self, line):
        found = self.pattern.search(line)
        return found and (int(found[2]), self.states[found[1]])

    def prepare(self):
        self.key = subprocess.check_output(["serf", "keygen"], text=True).strip()

    def launch(self, i):
        argv = ["serf", "agent", f"-node=s{i}", f"-bind={self.addr(i)}:7946"]
        argv += [f"-rpc-addr={self.addr(i)}:7373", "-profile=lan", f"-encrypt={self.key}"]
        self.spawn(i, argv + ([f"-join={self.addr(0)}:7946"] if i > 0 else []))


class Parley(Fleet):
    kind = "parley"
    programs = ("unshare", "nft", "ip")
    binary = os.environ.get("PARLEY", os.path.join(ROOT, "build", "parley"))
    pattern = re.compile(r"\bmember node=s(\d+) .*now=(\w+)")

    def parse(self, line):
        found = self.pattern.search(line)
        return found and (int(found[1]), found[2])

    def root(self, i):
        return os.path.join(self.folder, f"s{i}")

    def tool(self, i, *argv):
        done = subprocess.run(
            [self.binary, *argv, "--root", self.root(i)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            user=FIRST_UID + i,
            group=FIRST_UID + i,
            extra_groups=[],
            cwd=self.folder,
        )
        if done.returncode != 0:
            raise RuntimeError(f"parley {argv[0]} {argv[1]}: {done.stderr}")
        return done.stdout.strip()

    def prepare(self):
        for i in range(self.count):
            os.mkdir(self.root(i), 0o700)
            os.chown(self.root(i), FIRST_UID + i, FIRST_UID + i)
        self.tool(0, "init", "--mesh", "fleet", "--node", "s0", "--addr", self.addr(0))
        self.token = None

    def source(self, i):
        route = ["local", self.addr(0), "dev", "lo", "table", "local", "src", self.addr(i)]
        command("ip", "route", "replace", *route)

    def launch(self, i):
        if i > 0:
            if self.token is None:
                end = time.monotonic() + 10
                while not os.path.exists(os.path.join(self.root(0), "run/parley/parley.sock")):
                    if time.monotonic() > end:
                        raise RuntimeError("the first parley does not come up")
                    time.sleep(0.05)
                self.token = self.tool(0, "token", "create", "-q", "--uses", str(self.count))
            # Joins are limited by source address: each comes from its own, as it would from a host.
            self.source(i)
            self.tool(i, "join", self.token, "--node", f"s{i}", "--addr", self.addr(i))
        self.spawn(i, [self.binary, "up", "--root", self.root(i)])


def first_and_last(events, since, subject, states, observers):
    """When the first and the last observer has first said so, in seconds from `since`, and how many
    never have."""
    told = {}
    for when, observer, who, state in events:
        if when >= since and who == subject and state in states and observer in observers:
            told.setdefault(observer, when - since)
    times = sorted(told.values())
    return (times[0] if times else None, times[-1] if times else None, len(observers) - len(times))


def shuffled(count, seed):
    """Victims in random order, never the first agent, which the others have joined by."""
    order = list(range(1, count))
    random.Random(seed).shuffle(order)
    return order
