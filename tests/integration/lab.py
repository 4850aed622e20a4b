"""A lab of hosts: network namespaces on one bridge, each with a parley of its own under --root.

Used by the run_*.py scripts. Needs root and iproute2. Everything it starts is ended by process id
and every namespace it made is removed, also when a test fails. Addresses are 10.77.0.N, or
fd00:77::N in a lab of IPv6 alone; nothing leaves the machine.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def binary():
    return os.environ.get("PARLEY", os.path.join(ROOT, "build", "parley"))


class Tap:
    """Prints TAP and remembers whether anything failed."""

    def __init__(self):
        self.count = 0
        self.failed = 0

    def ok(self, good, name, detail=""):
        self.count += 1
        if good:
            print(f"ok {self.count} - {name}", flush=True)
        else:
            self.failed += 1
            print(f"not ok {self.count} - {name}", flush=True)
            for line in str(detail).splitlines()[-40:]:
                print(f"# {line}", flush=True)
        return good

    def skip(self, name, why):
        self.count += 1
        print(f"ok {self.count} - {name} # SKIP {why}", flush=True)

    def note(self, text):
        print(f"# {text}", flush=True)

    def done(self):
        print(f"1..{self.count}", flush=True)
        return 1 if self.failed else 0


def skip_all(why):
    print(f"ok 1 - {os.path.basename(sys.argv[0])} # SKIP {why}")
    print("1..1")
    sys.exit(0)


def patient(seconds):
    """What a promise of so many seconds may take where it is not proven: the simulator proves it,
    in virtual time; here the machine may be slow, and busy with other things for a moment."""
    return 4 * seconds + 2


def wait_for(what, seconds, step=0.05):
    """Polls `what` until it gives something true; that value, or None when it patiently waited."""
    end = time.monotonic() + patient(seconds)
    while True:
        value = what()
        if value:
            return value
        if time.monotonic() >= end:
            return None
        time.sleep(step)


def run(argv, **kw):
    kw.setdefault("timeout", 30)
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kw)


def held_connections(count):
    """A program that begins so many connections to the upstream, says "held" and keeps them until a
    line comes."""
    return f"""
import socket, sys
held = []
for i in range({count}):
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(("127.0.0.1", 9001))
    held.append(s)
print("held", flush=True)
sys.stdin.readline()
"""


class Host:
    def __init__(self, lab, number):
        self.lab = lab
        self.number = number
        self.name = f"h{number}"
        self.addr = f"fd00:77::{number}" if lab.six else f"10.77.0.{number}"
        self.netns = f"{lab.prefix}{number}"
        self.root = os.path.join(lab.folder, self.name)
        self.agent = None
        os.makedirs(self.root, exist_ok=True)

    def prefix(self):
        return ["ip", "netns", "exec", self.netns]

    def run(self, *argv, **kw):
        return run(self.prefix() + list(argv), **kw)

    def spawn(self, *argv, log, **kw):
        out = open(os.path.join(self.lab.folder, log), "ab")
        p = subprocess.Popen(
            self.prefix() + list(argv),
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            **kw,
        )
        out.close()
        self.lab.processes.append(p)
        return p

    def parley(self, *argv, **kw):
        return self.run(binary(), *argv, "--root", self.root, **kw)

    def ask(self, *argv):
        """The `data` of a --json document, or None."""
        r = self.parley(*argv, "--json")
        try:
            return json.loads(r.stdout)["data"]
        except (ValueError, KeyError):
            return None

    def up(self):
        self.agent = self.spawn(binary(), "up", "--root", self.root, log=f"{self.name}.log")
        return wait_for(lambda: self.parley("ready").returncode == 0, 10)

    def kill(self, sig=signal.SIGKILL):
        os.kill(self.agent.pid, sig)
        if sig in (signal.SIGKILL, signal.SIGTERM):
            self.agent.wait(timeout=40)

    def config(self, text):
        """What runs on this host, beside the [node] table that init or join wrote."""
        path = os.path.join(self.root, "etc/parley/conf.d/lab.toml")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)

    def endpoint_states(self, service):
        rows = self.ask("endpoints", service) or []
        return {row["node"]: row["status"] for row in rows}

    def processor_s(self):
        """Of the agent; the scheduler's own count, since a tick is too coarse."""
        total = 0
        folder = f"/proc/{self.agent.pid}/task"
        for task in os.listdir(folder):
            with open(f"{folder}/{task}/schedstat") as f:
                total += int(f.read().split()[0])
        return total / 1e9

    def busy(self, seconds):
        """The agent's share of a processor over so many seconds."""
        used, begun = self.processor_s(), time.monotonic()
        time.sleep(seconds)
        return (self.processor_s() - used) / (time.monotonic() - begun)

    def log(self):
        try:
            with open(os.path.join(self.lab.folder, f"{self.name}.log"), errors="replace") as f:
                return f.read()
        except OSError:
            return ""


class Lab:
    def __init__(self, hosts, six=False):
        self.six = six
        self.prefix = f"pl{os.getpid() % 100000}n"
        self.folder = tempfile.mkdtemp(prefix="parley-lab-")
        os.chmod(self.folder, 0o755)
        self.processes = []
        self.extra = []
        self.host = {n: Host(self, n) for n in range(1, hosts + 1)}

    def __enter__(self):
        try:
            self.make()
        except Exception:
            self.__exit__()
            raise
        return self

    def make(self):
        bridge = f"{self.prefix}br"
        run(["ip", "netns", "add", bridge], check=True)
        run(["ip", "-n", bridge, "link", "add", "br0", "type", "bridge"], check=True)
        run(["ip", "-n", bridge, "link", "set", "br0", "up"], check=True)
        for h in self.host.values():
            self.wire(h)

    def wire(self, h):
        """The namespace of a host, with a cable to the bridge."""
        bridge, v = f"{self.prefix}br", f"v{h.number}"
        run(["ip", "netns", "add", h.netns], check=True)
        cable = ["eth0", "type", "veth", "peer", "name", v, "netns", bridge]
        run(["ip", "-n", h.netns, "link", "add"] + cable, check=True)
        run(["ip", "-n", bridge, "link", "set", v, "master", "br0", "up"], check=True)
        # Without nodad an IPv6 address cannot be bound for its first second.
        addr = (
            [f"{h.addr}/64", "dev", "eth0", "nodad"]
            if self.six
            else [f"{h.addr}/24", "dev", "eth0"]
        )
        run(["ip", "-n", h.netns, "link", "set", "eth0", "up"], check=True)
        run(["ip", "-n", h.netns, "link", "set", "lo", "up"], check=True)
        run(["ip", "-n", h.netns, "addr", "add"] + addr, check=True)
        if self.six:
            run(["ip", "-n", h.netns, "addr", "del", "127.0.0.1/8", "dev", "lo"], check=True)

    def add(self, host):
        """One more host, which no test waits for; it is removed with the others."""
        self.extra.append(host)
        self.wire(host)

    def __exit__(self, *_):
        for p in self.processes:
            if p.poll() is None:
                try:
                    os.killpg(p.pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
                p.wait()
        for n in [f"{self.prefix}br"] + [h.netns for h in list(self.host.values()) + self.extra]:
            for pid in run(["ip", "netns", "pids", n]).stdout.split():
                try:
                    os.kill(int(pid), signal.SIGKILL)
                except ProcessLookupError:
                    pass
            run(["ip", "netns", "del", n])
        if os.environ.get("LAB_KEEP"):
            print(f"# kept {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def mesh(self, tap):
        """`init` on the first host, `join` on the others; true when all are members of one view."""
        first = self.host[1]
        r = first.parley("init", "--mesh", "lab", "--node", first.name, "--addr", first.addr)
        said = r.stdout + r.stderr
        if not tap.ok(r.returncode == 0, "init makes a mesh on the first host", said):
            return False
        if not tap.ok(first.up(), "the first host is ready", first.log()):
            return False
        for n, h in self.host.items():
            if n == 1:
                continue
            token = first.parley("token", "create", "-q").stdout.strip()
            r = h.parley("join", token, "--node", h.name, "--addr", h.addr)
            if not tap.ok(r.returncode == 0, f"{h.name} joins with a token", r.stdout + r.stderr):
                return False
            if not tap.ok(h.up(), f"{h.name} is ready", h.log()):
                return False

        def whole():
            for h in self.host.values():
                rows = h.ask("members") or []
                if sum(1 for row in rows if row["status"] == "alive") != len(self.host):
                    return False
            return True

        return tap.ok(
            wait_for(whole, 15),
            "every host sees every host alive",
            "\n".join(h.parley("members").stdout for h in self.host.values()),
        )

    def sound(self, tap):
        """No host's log tells of a failed check or of a sanitizer's finding."""
        for h in self.host.values():
            bad = "check failed" in h.log() or "Sanitizer" in h.log()
            tap.ok(not bad, f"{h.name} reports no failed check", h.log()[-3000:])


def timed(tap, rows, site):
    """Each row in turn on this site; how long it took is noted."""
    for row in rows:
        begun = time.monotonic()
        row(site, tap)
        tap.note(f"{row.__name__}: {time.monotonic() - begun:.1f} s")
