#!/usr/bin/env python3
"""Is the simulator's memberlist the real one? Measures serf (Debian's package: memberlist 0.2.2)
in a network namespace, encrypted, LAN profile, and prints its figures beside those of
`parley-sim --algorithm memberlist`: first and last EventMemberFailed after a SIGKILL, bytes a
second of an idle agent with IP headers.

usage: serf_calibrate.py [--agents 30,90] [--kills 6] [--json FILE]
Exit 1 when a mean differs by more than 15 % or, of few samples, by more than two standard errors.
Five to six minutes. Skips with a reason where serf is missing.
"""

import argparse
import json
import math
import os
import random
import signal
import statistics
import subprocess
import sys
import time

import fleet

SPACING_S = 6  # between kills: their suspicions overlap, which changes nothing for each
LAST_S = 18
AGREE = 0.15
SIM_RUNS = 40


def push_pull_s(agents):
    """How often a member exchanges its state: an idle window is a multiple of it."""
    return 30 if agents <= 32 else 30 * (math.ceil(math.log2(agents) - 5) + 1)


def measure_real(agents, kills):
    f = fleet.Serf(agents)
    try:
        if not f.start(0.15, 60):
            sys.exit(1)
        time.sleep(10)
        window = push_pull_s(agents) * (2 if agents <= 32 else 1)
        before = f.usage()
        time.sleep(window)
        after = f.usage()
        victims = fleet.shuffled(agents, agents)[:kills]
        killed = {}
        for victim in victims:
            killed[victim] = time.monotonic()
            f.signal(victim, signal.SIGKILL)
            time.sleep(SPACING_S + random.random())
        time.sleep(LAST_S - SPACING_S)
        events = list(f.reader.events)
        live = set(range(agents)) - set(victims)
        rows = [fleet.first_and_last(events, killed[v], v, ("dead",), live) for v in victims]
        wrong = [e for e in events if e[3] == "dead" and e[2] in live]
        return {
            "first_s": [r[0] for r in rows if r[0] is not None],
            "last_s": [r[1] for r in rows if r[2] == 0],
            "bytes_per_s": (after[0] - before[0]) / window / agents,
            "packets_per_s": (after[1] - before[1]) / window / agents,
            "false_events": len(wrong),
        }
    finally:
        f.close()


def simulate(agents, scenario, length):
    sim = os.environ.get("PARLEY_SIM", os.path.join(fleet.ROOT, "build", "parley-sim"))
    argv = [sim, "--algorithm", "memberlist", "--nodes", str(agents), "--scenario", scenario]
    argv += ["--for", length, "--runs", str(SIM_RUNS), "--json"]
    return json.loads(subprocess.check_output(argv))["data"]


def row(name, real, model, deviation, count, unit):
    """One line; whether they agree."""
    off = model / real - 1
    noise = 2 * deviation / math.sqrt(count) / real if count > 1 else 0
    good = abs(off) <= max(AGREE, noise)
    print(f"{name:34} {real:8.2f} {model:8.2f} {unit:4} {off:+7.1%}  {'' if good else 'DIFFERS'}")
    return good


def compare(agents, real):
    crash, idle = simulate(agents, "crash", "5m"), simulate(agents, "idle", "6m")
    good = True
    print(
        f"{agents} agents, {len(real['first_s'])} kills"
        + " " * 21
        + "real    model       model/real"
    )
    for key, name, model in (
        ("first_s", "first failed", crash["first_dead_ms"]["mean"] / 1000),
        ("last_s", "all know", crash["all_know_ms"]["mean"] / 1000),
    ):
        times = real[key]
        deviation = statistics.stdev(times) if len(times) > 1 else 0
        good = row(name, statistics.mean(times), model, deviation, len(times), "s") and good
    sent = idle["idle_bytes_per_s"]
    good = row("bytes a second, idle", real["bytes_per_s"], sent, 0, 1, "B/s") and good
    print(f"  real: {', '.join(f'{t:.1f}' for t in real['first_s'])} s;", end=" ")
    print(
        f"{real['packets_per_s']:.2f} packets/s; {real['false_events']} false events\n", flush=True
    )
    return good


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--agents", default="30,90")
    args.add_argument("--kills", type=int, default=6)
    args.add_argument("--json")
    args.add_argument("--inside", action="store_true")
    given = args.parse_args()
    why = fleet.missing(fleet.Serf.programs)
    if why:
        print(f"SKIP: {why}")
        return 0
    if not given.inside:
        return fleet.inside(sys.argv[1:] + ["--inside"])
    result, good = {}, True
    for agents in map(int, given.agents.split(",")):
        result[agents] = measure_real(agents, given.kills)
        good = compare(agents, result[agents]) and good
    if given.json:
        with open(given.json, "w") as f:
            json.dump(result, f, indent=1)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
