#!/usr/bin/env python3
"""What a host keeps resident that calls 20 services of 200 endpoints each: at most 40 MiB.

200 parleys on loopback addresses of one network namespace announce 20 services each, and one more
calls them all: 20 upstreams, 4 000 endpoints. Load on all upstreams at once goes on until no new
mesh link opens and no more is resident: then every endpoint that the host spreads over has its
links, one for each of the caller's workers (what they take grows with --threads), and these have
touched their pages. Printed before, during and after the load with what it is made of; exit 1 when
any is over the bound, or a request of the last load fails. Needs root, 6 minutes and 2 GiB.

usage: host_memory.py [--hosts 200] [--services 20] [--threads 2]
"""

import argparse
import os
import re
import subprocess
import sys
import time

import fleet

BOUND_KIB = 40 * 1024
WAVE = 10  # hosts that start at once: two cores start them all
CONNECTIONS = 16  # of each upstream
# Requests a second, of each upstream, load after load: 200 hosts share the cores, and each of the
# first requests has a handshake to wait for.
RATES = (2, 4, 6, 8) + 20 * (10,)
FIRST_PORT = 9001
MESH_PORT = 7400
SERVICE = '[service.s{}]\nlocal = "127.0.0.1:8081"\nhealth = "none"\nallow = ["web"]\n'
UPSTREAM = '[upstream.s{}]\nlisten = "127.0.0.1:{}"\nas = "web"\n'
WEB = '[service.web]\nlocal = "127.0.0.1:8080"\nhealth = "none"\n'
PARTS = ("Rss", "Pss", "Private_Dirty", "Private_Clean", "Shared_Clean", "Anonymous")


def wait_until(what, seconds, step_s=0.5):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(step_s)
    return False


class Large(fleet.Parley):
    """The last one is the caller."""

    def __init__(self, hosts, services, threads):
        super().__init__(hosts + 1)
        self.services = services
        self.threads = threads
        self.caller = hosts

    def begin(self):
        self.reader.start()
        self.prepare()
        self.add_config(0)
        self.launch(0)
        for first in range(1, self.count, WAVE):
            wave = range(first, min(first + WAVE, self.count))
            for i in wave:
                self.join(i)
            if not wait_until(lambda: all(self.ready(i) for i in wave), 120):
                raise RuntimeError(f"hosts {first} and up do not come up")

    def join(self, i):
        """A busy signer is asked again."""
        for left in range(9, -1, -1):
            try:
                self.launch(i)
                return
            except RuntimeError:
                if left == 0:
                    raise
                time.sleep(1)

    def spawn(self, i, argv):
        """`join` has made the folder by now."""
        if i > 0:
            self.add_config(i)
        super().spawn(i, argv)

    def add_config(self, i):
        text = "".join(SERVICE.format(s) for s in range(self.services))
        threads = 1
        if i == self.caller:
            ports = enumerate(range(FIRST_PORT, FIRST_PORT + self.services))
            text = WEB + "".join(UPSTREAM.format(*port) for port in ports)
            threads = self.threads
        text = f"[node]\nthreads = {threads}\n" + text
        path = os.path.join(self.root(i), "etc/parley/conf.d/large.toml")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)

    def ask(self, i, *argv):
        argv = [self.binary, *argv, "--root", self.root(i)]
        return subprocess.run(argv, capture_output=True, text=True)

    def ready(self, i):
        return self.ask(i, "ready").returncode == 0

    def whole(self):
        """Every endpoint of every service is up, as the caller sees it."""
        want = self.count - 1
        for s in range(self.services):
            if (
                len(re.findall(r"\bup\b", self.ask(self.caller, "endpoints", f"s{s}").stdout))
                < want
            ):
                return False
        return True

    def settled(self):
        """The hosts have little left to tell each other."""
        before = self.usage()[2]
        time.sleep(5)
        return self.usage()[2] - before < 0.25 * 5000

    def memory(self):
        """Of the caller, in KiB, as the kernel counts it."""
        with open(f"/proc/{self.process[self.caller].pid}/smaps_rollup") as f:
            found = dict(re.findall(r"^(\w+):\s+(\d+) kB", f.read(), re.M))
        return {part: int(found[part]) for part in PARTS}

    def links(self):
        """Open connections of the caller to mesh ports."""
        folder = f"/proc/{self.process[self.caller].pid}/fd"
        held = set()
        for fd in os.listdir(folder):
            try:
                held.add(os.readlink(f"{folder}/{fd}"))
            except FileNotFoundError:
                pass  # closed meanwhile
        with open("/proc/net/tcp") as f:
            rows = [line.split() for line in f.readlines()[1:]]
        peer = f":{MESH_PORT:04X}"
        return sum(r[2].endswith(peer) and f"socket:[{r[9]}]" in held for r in rows)


class Load:
    def __init__(self, services):
        self.services = services

    def once(self, rate, seconds):
        """All upstreams are called at once for so long."""
        running = []
        for port in range(FIRST_PORT, FIRST_PORT + self.services):
            argv = [fleet.Parley.binary, "testapp", "load", "--rate", str(rate)]
            argv += ["--connections", str(CONNECTIONS), "--for", f"{seconds}s", "--json"]
            argv += ["--url", f"http://127.0.0.1:{port}/"]
            running.append(subprocess.Popen(argv, stdout=subprocess.PIPE, text=True))
        return running

    @staticmethod
    def result(running):
        """How many requests were answered as they should, and what each load says that failed."""
        texts = [p.communicate()[0] for p in running]
        done = sum(int(re.search(r'"ok":(\d+)', text)[1]) for text in texts)
        return done, [text for text in texts if '"failed":0,' not in text]


def show(when, memory, links):
    parts = ", ".join(f"{part} {memory[part]}" for part in PARTS[1:])
    print(f"{when}: resident {memory['Rss']} KiB, {links} links; {parts}", flush=True)


def measure(large):
    """The most that was resident at any of the moments, or None."""
    quiet = large.memory()
    show("before any request", quiet, large.links())
    load, links = Load(large.services), -1
    most = before = quiet["Rss"]
    for rate in RATES:
        running = load.once(rate, 10)
        time.sleep(9)
        busy = large.memory()
        opened = large.links()
        done, failed = load.result(running)
        show(f"load of {rate} a second each, {done} requests, {len(failed)} failed", busy, opened)
        most = max(most, busy["Rss"])
        # A link touches its pages by and by: as long as more are, it is not all yet.
        if opened <= links and busy["Rss"] <= before * 1.005:
            break
        links, before = opened, busy["Rss"]
    if failed:
        print("\n".join(failed))
        return None
    after = large.memory()
    show("after it", after, large.links())
    if links > 0:
        print(f"{(busy['Rss'] - quiet['Rss']) * 1024 // links} bytes a link and what goes with it")
    return max(most, after["Rss"])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--hosts", type=int, default=200)
    parser.add_argument("--services", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2, help="of the caller")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    why = fleet.missing(("unshare", "ip"))
    if why:
        print(f"# SKIP {why}")
        return 0
    if not given.inside:
        return fleet.inside([*sys.argv[1:], "--inside"])
    large = Large(given.hosts, given.services, given.threads)
    argv = [large.binary, "testapp", "echo", "--listen", "127.0.0.1:8081"]
    app = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    try:
        begun = time.monotonic()
        large.begin()
        if not wait_until(large.whole, 300, 2):
            print(f"# not all endpoints are up\n{large.ask(large.caller, 'status').stdout}")
            return 1
        print(
            f"{given.hosts} hosts of {given.services} services are up after "
            f"{time.monotonic() - begun:.0f} s"
        )
        if not wait_until(large.settled, 180):
            print("# the hosts do not settle")
        most = measure(large)
        if most is None:
            print("not ok: requests failed")
            return 1
        good = most <= BOUND_KIB
        print(f"{'ok' if good else 'not ok'}: resident {most} KiB, bound {BOUND_KIB}")
        return 0 if good else 1
    finally:
        app.kill()
        app.wait()
        large.close()


if __name__ == "__main__":
    sys.exit(main())
