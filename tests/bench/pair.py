#!/usr/bin/env python3
"""What a pair of sidecars costs: parley beside HAProxy, nginx and Envoy (where its wheel installs),
and beside two plain byte relays as the floor, in one run on this machine.

Load, both proxies and the origin share the machine's cores in a network namespace of their own. The
CPU time is that of the two proxies alone, as the scheduler counts it. Every round runs all rigs one
after the other, each time beginning with another one; a figure is the median of the rounds, a ratio
the median of the rounds' ratios. See pair_rigs.py for what each rig is, pair_load.py for the load.

usage: pair.py [--rounds 5] [--seconds 3] [--only CASE,...] [--rigs NAME,...] [--out build/pair]
       pair.py --quick --only h1-32 --rigs parley,nginx     # one round of a second
       pair.py --list
Writes OUT.json and OUT.svg. About a quarter of an hour. Exit 0, also when a bound is missed:
`judged` in the JSON has the verdicts, null where one of two was not measured. Skips with a reason
what is not installed.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile

import pair_load as load
import pair_report
import pair_rigs as rigs

ROOT = rigs.ROOT


class Case:
    """`without`: rigs that have nothing to tell here, for the run's length."""

    def __init__(self, name, title, what, workers=1, without=()):
        self.name = name
        self.title = title
        self.load = what
        self.workers = workers
        self.without = without
        self.rounds = {}  # of a rig
        self.skipped = {}


def cases():
    unary = rigs.GRPC_PATH
    floors = ("direct", "relay")
    return [
        Case("h1-32", "HTTP/1.1, 1 KiB, 32 connections", load.Wrk("/1k", 32)),
        Case("h1-256", "HTTP/1.1, 1 KiB, 256 connections", load.Wrk("/1k", 256)),
        Case(
            "h1-64k", "HTTP/1.1, 64 KiB, 16 connections", load.Wrk("/64k", 16), without=("direct",)
        ),
        Case(
            "h1-close",
            "HTTP/1.1, 1 KiB, a connection each, 32",
            load.Wrk("/1k", 32, close=True),
            without=("direct",),
        ),
        Case("h2", "HTTP/2, 1 KiB, 4 x 32 streams", load.H2load("h2", "/1k", 4, 32)),
        Case("grpc", "gRPC unary, 4 x 32 streams", load.H2load("grpc", unary, 4, 32, unary=True)),
        Case("bulk-http", "HTTP bulk, 1 download", load.Pull("http", 1), without=floors),
        Case("bulk-http-4", "HTTP bulk, 4 downloads", load.Pull("http", 4), without=floors),
        Case("bulk-tcp", "TCP bulk, 1 download", load.Pull("tcp", 1), without=floors),
        Case("bulk-tcp-4", "TCP bulk, 4 downloads", load.Pull("tcp", 4), without=floors),
        Case("idle", "10 000 idle connections", load.Idle(rigs.IDLE_CONNECTIONS)),
        Case("calls", "System calls, 1 KiB, 32 connections", load.Calls("/1k", 32), without=floors),
        Case(
            "half",
            "1 KiB at half of its saturation, even load, two hosts of one core",
            load.Even("/1k", 32),
            without=("direct",),
        ),
        Case(
            "h1-256-w2",
            "HTTP/1.1, 1 KiB, 256, two workers",
            load.Wrk("/1k", 256),
            workers=2,
            without=floors,
        ),
    ]


def missing():
    if os.geteuid() != 0:
        return "needs root, for a network namespace"
    for name in ("openssl", "nginx", "wrk", "curl", "ip"):
        if shutil.which(name) is None:
            return f"{name} is not installed"
    return None


def wanted_rigs(given):
    """The kinds of this run, and why others are not in it."""
    names, lacks = given.rigs.split(",") if given.rigs else list(rigs.KINDS), {}
    if "haproxy" in names and shutil.which("haproxy") is None:
        lacks["haproxy"] = "not installed"
    if "envoy" in names:
        rigs.Envoy.program, why = rigs.envoy_binary()
        if why:
            lacks["envoy"] = why
    for name, why in lacks.items():
        print(f"# without {name}: {why}", flush=True)
    return [n for n in names if n not in lacks], lacks


def one_round(case, rig, seconds):
    result = case.load.run(rig, seconds)
    if result["errors"]:
        print(f"# {case.name}, {rig.name}: {result['errors']} errors, round dropped", flush=True)
        print("\n".join("# " + line for line in result.get("text", "").splitlines()[-8:]))
        return
    result.pop("errors")
    case.rounds.setdefault(rig.name, []).append(result)


def measure(case, running, given):
    runs_on = []
    for rig in running:
        if rig.name in case.without:
            continue
        why = rig.lacks.get(case.load.kind)
        if why is None:
            runs_on.append(rig)
        else:
            case.skipped[rig.name] = why
    once = isinstance(case.load, (load.Idle, load.Calls))
    rounds = 1 if once else given.rounds
    for rig in runs_on:
        # Links, pools and slabs are warm when the first round begins.
        if rounds > 1:
            case.load.run(rig, 1)
    for k in range(rounds):
        turn = k % max(1, len(runs_on))
        for rig in runs_on[turn:] + runs_on[:turn]:
            one_round(case, rig, given.seconds)
    print(pair_report.block(case), flush=True)


def with_workers(workers, some, names, folder, given):
    """Starts every rig with so many workers and measures the cases of that number."""
    running = []
    try:
        for name in names:
            rig = rigs.KINDS[name](folder, workers)
            running.append(rig)
            rig.start()
        for case in some:
            measure(case, running, given)
    finally:
        for rig in running:
            rig.stop()


def inside(given):
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    rigs.prepare_limits()
    names, lacks = given.rigs.split(","), json.loads(given.without)
    if "envoy" in names:
        rigs.Envoy.program, _ = rigs.envoy_binary()
    chosen = [c for c in cases() if not given.only or c.name in given.only.split(",")]
    for program in {p for c in chosen for p in c.load.programs}:
        if shutil.which(program) is None:
            chosen = [c for c in chosen if program not in c.load.programs]
            print(f"# without the cases that need {program}: it is not installed")
    folder = tempfile.mkdtemp(prefix="pair")
    os.chmod(folder, 0o755)
    origin = None
    try:
        rigs.make_certificates(folder)
        origin = load.Even.origin = rigs.Origin(folder)
        for workers in sorted({c.workers for c in chosen}):
            some = [c for c in chosen if c.workers == workers]
            with_workers(workers, some, names, folder, given)
    finally:
        if origin:
            origin.stop()
        shutil.rmtree(folder, ignore_errors=True)
    report(chosen, lacks, given)
    return 0


def machine():
    with open("/proc/cpuinfo") as f:
        model = next((line.split(":")[1].strip() for line in f if "model name" in line), "")
    with open("/proc/sys/net/ipv4/tcp_congestion_control") as f:
        control = f.read().strip()
    return {
        "cpu": model,
        "cpus": os.cpu_count(),
        "kernel": platform.release(),
        "congestion_control": control,
    }


def report(chosen, lacks, given):
    judged = pair_report.judge(chosen)
    print()
    for what, (good, text) in judged.items():
        word = "-" if good is None else "yes" if good else "NO"
        print(f"{what:62} {text:>22}   {word}")
    data = {
        "machine": machine(),
        "rounds": given.rounds,
        "seconds": given.seconds,
        "without": lacks,
        "cases": {
            c.name: {"title": c.title, "rounds": c.rounds, "skipped": c.skipped} for c in chosen
        },
        "judged": {what: good for what, (good, _) in judged.items()},
    }
    os.makedirs(os.path.dirname(os.path.abspath(given.out)), exist_ok=True)
    with open(given.out + ".json", "w") as f:
        json.dump({"schema": "parley.pair.v1", "data": data}, f, indent=1)
    with open(given.out + ".svg", "w") as f:
        f.write(pair_report.svg(chosen))
    print(f"wrote {given.out}.svg and .json")


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--rounds", type=int, default=5)
    args.add_argument("--seconds", type=int, default=3)
    args.add_argument("--only")
    args.add_argument("--rigs")
    args.add_argument("--quick", action="store_true")
    args.add_argument("--list", action="store_true")
    args.add_argument("--out", default=os.path.join(ROOT, "build", "pair"))
    args.add_argument("--inside", action="store_true")
    args.add_argument("--without")
    given = args.parse_args()
    if given.list:
        for case in cases():
            print(f"{case.name:12} {case.title}")
        return 0
    why = missing()
    if why:
        print(f"SKIP: {why}")
        return 0
    if not given.inside:
        names, lacks = wanted_rigs(given)
        argv = ["--inside", "--rigs", ",".join(names), "--without", json.dumps(lacks)]
        return subprocess.call(["unshare", "-n", sys.executable, *sys.argv, *argv])
    if given.quick:
        given.rounds = given.seconds = 1
    return inside(given)


if __name__ == "__main__":
    sys.exit(main())
