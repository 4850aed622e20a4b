#!/usr/bin/env python3
"""One service's storm and another's calm (security.md O11): the p99 of a quiet service while
another between the same two hosts is called 10 000 times a second, against its p99 alone, in turns.

Prints each round and the median of their ratios; exit 1 when that is over 2. Loopback addresses, no
root. The load, the applications and both parleys share the machine's cores, so on a busy machine
the storm also takes processor time that no proxy could give back.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../integration"))
from lab import Tap, binary, wait_for
from loopback import Node, boot

BOUND = 2.0
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "7"))
STORM, CALM = 10000, 200
SERVICE = '[service.{0}]\nlocal = "127.0.77.2:{1}"\nhealth = "none"\nallow = ["web"]\n'
UPSTREAM = '[upstream.{0}]\nlisten = "127.0.77.1:{1}"\nas = "web"\n'
WEB = '[service.web]\nlocal = "127.0.77.1:8080"\nhealth = "none"\n'
PORTS = {"storm": (8081, 9001), "calm": (8082, 9002)}


def load(name, rate, seconds):
    argv = ["testapp", "load", "--url", f"http://127.0.77.1:{PORTS[name][1]}/", "--json"]
    argv += ["--rate", str(rate), "--for", f"{seconds}s", "--connections", "32"]
    return subprocess.Popen([binary(), *argv], stdout=subprocess.PIPE, text=True)


def result(process):
    return json.loads(process.communicate()[0])["data"]


def p99_ms(with_storm):
    storm = load("storm", STORM, 6) if with_storm else None
    calm = result(load("calm", CALM, 5))
    rate = 0
    if storm:
        data = result(storm)
        rate = data["ok"] / 6
    return calm["p99_ms"], rate


def measure():
    ratios = []
    for i in range(ROUNDS):
        alone, _ = p99_ms(False)
        beside, rate = p99_ms(True)
        ratios.append(beside / alone)
        print(
            f"round {i + 1}: p99 alone {alone:.2f} ms, beside {rate:.0f} requests a second "
            f"{beside:.2f} ms: {ratios[-1]:.2f} times",
            flush=True,
        )
    return statistics.median(ratios)


def main():
    tap = Tap()
    apps = []
    with tempfile.TemporaryDirectory(prefix="parley-isolation-") as folder:
        one, two = Node(folder, 1), Node(folder, 2)
        try:
            for local, _ in PORTS.values():
                argv = [binary(), "testapp", "echo", "--listen", f"127.0.77.2:{local}"]
                apps.append(subprocess.Popen(argv, stdout=subprocess.DEVNULL))
            far = "".join(SERVICE.format(n, p[0]) for n, p in PORTS.items())
            near = "".join(UPSTREAM.format(n, p[1]) for n, p in PORTS.items())
            if not boot(tap, one, two, WEB + near, far):
                return 1
            if not wait_for(lambda: result(load("calm", 10, 1))["failed"] == 0, 20):
                return 1
            median = measure()
            print(f"median {median:.2f} times, bound {BOUND:g}")
            return 0 if median <= BOUND else 1
        finally:
            one.stop()
            two.stop()
            for app in apps:
                app.kill()
                app.wait()


if __name__ == "__main__":
    sys.exit(main())
