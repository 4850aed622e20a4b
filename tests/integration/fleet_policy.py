"""Mesh policy on many parleys of one machine: how long from `config apply` on any of them until the
rules are in force on all.

Each parley has an address of its own on the loopback of a private network namespace. A sample is
one (apply, parley): from the start of the command to the moment the parley logs that the generation
is in force.
"""

import datetime
import os
import random
import re
import shutil
import sys
import tempfile
import time

from lab import binary, run, wait_for
from run_refusals import Node

RULES = int(os.environ.get("FLEET_RULES", "4"))
ACTIVE = re.compile(r"^(\S+) info policy active generation=(\d+) ")


def own_namespace():
    """Runs this script again where nothing else listens; needs no root."""
    if os.environ.get("FLEET_NAMESPACE"):
        return
    os.environ["FLEET_NAMESPACE"] = "1"
    user = [] if os.geteuid() == 0 else ["-r"]
    inner = ["sh", "-c", 'ip link set lo up && exec "$@"', "sh", sys.executable, *sys.argv]
    os.execvp("unshare", ["unshare", *user, "-n", *inner])


def quantile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Fleet:
    def __init__(self, count, seed=1):
        self.folder = tempfile.mkdtemp(prefix="parley-fleet-")
        self.random = random.Random(seed)
        self.nodes = [Node(self.folder, n) for n in range(1, count + 1)]
        self.key = os.path.join(self.folder, "r1/etc/parley/operator.key")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for n in self.nodes:
            if n.process and n.process.poll() is None:
                n.process.kill()
        for n in self.nodes:
            if n.process:
                n.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def addr(self, node):
        return f"127.7.{node.number // 200}.{node.number % 200 + 1}"

    def start(self):
        """True when every parley sees every other."""
        first = self.nodes[0]
        first.parley("init", "--mesh", "fleet", "--node", "n1", "--addr", self.addr(first))
        self.threads(first)
        if not first.up():
            return False
        uses = str(len(self.nodes))
        token = first.parley("token", "create", "-q", "--uses", uses).stdout.strip()
        for n in self.nodes[1:]:
            # All come from one address, and joins from one address are slowed down.
            if not wait_for(lambda: self.join(n, token), 30, 0.5):
                return False
            self.threads(n)
            n.write('[service.s%d]\nlocal = "127.0.0.1:9"\nhealth = "none"\n' % (n.number % 5))
            if not n.up():
                return False
        return wait_for(self.whole, 60, 0.5)

    def join(self, node, token):
        argv = ["join", token, "--node", f"n{node.number}", "--addr", self.addr(node)]
        return node.parley(*argv).returncode == 0

    def threads(self, node):
        """One worker each: fifty parleys share the cores."""
        node.write("[node]\nthreads = 1\n", "etc/parley/conf.d/fleet.toml")

    def whole(self):
        want = f"members  {len(self.nodes)} alive"
        return all(want in n.parley("status").stdout for n in self.nodes)

    def policy(self, number):
        path = os.path.join(self.folder, "fleet.toml")
        with open(path, "w") as f:
            for i in range(RULES):
                f.write(
                    f'[[rule]]\nname = "r{i}"\nfrom = ["s{i % 5}"]\nto = ["s{(i + number) % 5}"]\n'
                    f'path = ["/{number}/{i}"]\n'
                )
        return path

    def apply(self, number):
        """One apply on a random parley. (seconds of the command, [seconds of each parley])"""
        at = self.random.choice(self.nodes)
        argv = [binary(), "config", "apply", self.policy(number), "--yes", "-q", "--timeout", "30s"]
        wall, start = time.time(), time.monotonic()
        r = run(argv + ["--root", at.root, "--key", self.key], timeout=60)
        took = time.monotonic() - start
        if r.returncode != 0:
            return took, None, r.stdout + r.stderr
        return took, [self.active_after(n, number, wall) for n in self.nodes], ""

    def active_after(self, node, gen, wall):
        for line in reversed(node.said().splitlines()):
            m = ACTIVE.match(line)
            if m and int(m[2]) == gen:
                at = datetime.datetime.strptime(m[1], "%Y-%m-%dT%H:%M:%S.%fZ")
                return at.replace(tzinfo=datetime.timezone.utc).timestamp() - wall
        return None


def measure(fleet, applies, say):
    """All samples, in seconds, and the times of the commands; None when an apply failed."""
    samples, commands = [], []
    for number in range(1, applies + 1):
        took, each, why = fleet.apply(number)
        if each is None or None in each:
            say(f"apply {number}: {why or each}")
            return None, None
        samples += each
        commands.append(took)
        say(
            f"apply {number}: in force on the first after {min(each) * 1000:.0f} ms, "
            f"on all {len(each)} after {max(each) * 1000:.0f} ms; "
            f"the command took {took * 1000:.0f} ms"
        )
        time.sleep(1)  # at a person's pace: a member speaks of itself twice a second for long
    return samples, commands
