#!/usr/bin/env python3
# Time limit: 1800 s.
"""Runs the simulator with SEEDS seeds (20 unless set) over its scenarios and losses.

Each run must end by itself with a document of schema parley.sim.v1, declare nobody dead who lives,
notice who died, and give the same trace when it is run again. Prints TAP, one test a seed.
"""
import json
import os
import subprocess
import sys

SIM = os.environ.get("PARLEY_SIM", "build/parley-sim")
SEEDS = int(os.environ.get("SEEDS", "20"))
NODES = 24
SCENARIOS = ("idle", "crash", "partition")
LOSSES = (0, 1, 5)
FIELDS = {
    "nodes", "seed", "scenario", "algorithm", "trace_hash", "virtual_ms", "wall_ms",
    "first_unreachable_ms", "first_dead_ms", "all_know_ms", "false_unreachable", "false_dead",
    "sends_per_rumour", "idle_bytes_per_s",
}


def simulate(scenario, loss, seed):
    """The data of one run; raises ValueError with what is wrong with it."""
    command = [SIM, "--nodes", str(NODES), "--seed", str(seed), "--scenario", scenario,
               "--loss", str(loss), "--for", "2m", "--json"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if run.returncode != 0:
        raise ValueError(f"{' '.join(command)}: exit {run.returncode}: {run.stderr[-500:]}")
    document = json.loads(run.stdout)
    if document.get("schema") != "parley.sim.v1":
        raise ValueError(f"schema is {document.get('schema')}")
    data = document["data"]
    missing = FIELDS - data.keys()
    if missing:
        raise ValueError(f"no {', '.join(sorted(missing))}")
    return data


def judge(scenario, loss, seed):
    data = simulate(scenario, loss, seed)
    if (data["nodes"], data["seed"], data["scenario"]) != (NODES, seed, scenario):
        raise ValueError("it ran something else than it was asked to")
    if scenario != "partition" and data["false_dead"] != 0:
        raise ValueError(f"{data['false_dead']} live members declared dead")
    if scenario == "idle" and loss == 0 and data["false_unreachable"] != 0:
        raise ValueError(f"{data['false_unreachable']} false alarms without any loss")
    if scenario == "crash" and not data["first_unreachable_ms"]["mean"] > 0:
        raise ValueError("nobody noticed the crash")
    again = simulate(scenario, loss, seed)
    if again["trace_hash"] != data["trace_hash"]:
        raise ValueError(f"trace {data['trace_hash']}, then {again['trace_hash']}")


def main():
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
    if not os.access(SIM, os.X_OK):
        print(f"1..0 # SKIP {SIM} is not built")
        return 0
    failed = 0
    print(f"1..{SEEDS}")
    for seed in range(1, SEEDS + 1):
        scenario = SCENARIOS[seed % len(SCENARIOS)]
        loss = LOSSES[seed // len(SCENARIOS) % len(LOSSES)]
        name = f"{seed} - {scenario} at {loss} % loss, seed {seed}"
        try:
            judge(scenario, loss, seed)
            print(f"ok {name}", flush=True)
        except (ValueError, KeyError, TypeError, subprocess.TimeoutExpired) as error:
            failed += 1
            print(f"not ok {name}\n# {error}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
