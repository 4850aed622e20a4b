#!/usr/bin/env python3
"""parley and the real serf (Debian's package: memberlist 0.2.2) on the same machine, by turns: 90
agents of each, encrypted both, in a network namespace of their own, LAN profiles.

Three ways to die, each told apart: SIGKILL (the host answers that nobody listens), SIGSTOP (the
host accepts, nobody answers; SIGCONT later) and packet drop (nftables; nothing answers). Of each
victim: when the first and when the last of the others says so. serf has one signal, which is
compared with parley's unreachable (reversible, the balancer stops choosing it) and with its dead. A
false event says so of an agent to which nothing was done. Bytes are those that the loopback
interface counts, with IP, UDP and TCP headers, idle and while victims die; CPU and memory are of
the agents.

usage: versus_serf.py [--agents 90] [--victims 2] [--idle 90] [--slot 16] [--only KIND]
                      [--json FILE]
       --victims: of each way to die; --idle, --slot: seconds watched at rest, and for each victim
About nine minutes. Exit 1 when a bound is missed; `judged` in the JSON has each verdict. With
--only there is nothing to compare and nothing is judged. Skips with a reason where serf is missing.
"""

import argparse
import json
import random
import signal
import statistics
import sys
import tempfile
import time

import fleet

KINDS = {"serf": fleet.Serf, "parley": fleet.Parley}
MODES = ("kill", "stop", "drop")
LEVELS = {"unreachable": ("unreachable", "dead"), "dead": ("dead",)}
SETTLE_S = 30  # what a start leaves to be told, on both sides
STARTS = 3  # tries: on a busy machine a join may be lost
BACK_S = 6  # after SIGCONT, before the next victim
FASTER = 3.0
IDLE_MOST = {"bytes_per_s": 260, "cpu_ms_per_s": 0.5}  # parley's alone


def harm(f, mode, victim):
    if mode == "kill":
        f.signal(victim, signal.SIGKILL)
    elif mode == "stop":
        f.signal(victim, signal.SIGSTOP)
    else:
        f.drop(victim)


def end(f, mode, victim):
    """A stopped one goes on; a dropped one ends, lest it comes back with news of its own."""
    if mode == "stop":
        f.signal(victim, signal.SIGCONT)
        time.sleep(BACK_S)
    elif mode == "drop":
        f.signal(victim, signal.SIGKILL)
        f.undrop()


def one_victim(f, mode, victim, touched, slot):
    time.sleep(random.random())
    others = {i for i in range(f.count) if i not in touched and f.up(i)} - {victim}
    since = time.monotonic()
    harm(f, mode, victim)
    time.sleep(max(0, since + slot - time.monotonic()))
    events = list(f.reader.events)
    found = {}
    for level, states in LEVELS.items():
        found[level] = fleet.first_and_last(events, since, victim, states, others)
    end(f, mode, victim)
    return found


def rate(before, after, seconds, agents):
    keys = ("bytes_per_s", "packets_per_s", "cpu_ms_per_s")
    return {k: (after[i] - before[i]) / seconds / agents for i, k in enumerate(keys)}


def start(kind, agents):
    """A fleet in which all see all, and how long that took."""
    for _ in range(STARTS):
        f = KINDS[kind](agents)
        began = time.monotonic()
        try:
            up = f.start(0.1, 90)
        except BaseException:
            f.close()
            raise
        if up:
            return f, round(time.monotonic() - began, 1)
        f.close()
    sys.exit(f"{kind}: the agents do not find each other")


def measure(kind, given):
    f, joined_s = start(kind, given.agents)
    try:
        out = {"kind": kind, "joined_s": joined_s}
        time.sleep(SETTLE_S)
        settled, before = time.monotonic(), f.usage()
        time.sleep(given.idle)
        out["idle"] = rate(before, f.usage(), time.monotonic() - settled, given.agents)
        out["resident_kib"] = f.resident_kib()
        victims = fleet.shuffled(given.agents, 7)[: given.victims * len(MODES)]
        touched, found = set(), {m: [] for m in MODES}
        cpu_of_dead = 0
        churn, before = time.monotonic(), f.usage()
        for n, victim in enumerate(victims):
            mode = MODES[n % len(MODES)]
            touched.add(victim)
            cpu_of_dead += f.cpu_ms(victim) if mode != "stop" else 0
            found[mode].append(one_victim(f, mode, victim, touched, given.slot))
        after = f.usage()
        after = (after[0], after[1], after[2] + cpu_of_dead)
        out["churn"] = rate(before, after, time.monotonic() - churn, given.agents)
        out["found"] = found
        count_false(f, settled, touched, out)
        return out
    finally:
        f.close()


def count_false(f, since, touched, out):
    wrong = [e for e in f.reader.events if e[0] >= since and e[1] not in touched]
    wrong = [e for e in wrong if e[2] not in touched]
    for level in LEVELS:
        out[f"false_{level}"] = sum(e[3] == level for e in wrong)
    if out["kind"] == "serf":
        out["false_unreachable"] = out["false_dead"]


def times(out, mode, level, which):
    return [t[level][which] for t in out["found"][mode] if t[level][which] is not None]


def mean(values):
    return statistics.mean(values) if values else None


def text(value, digits):
    return "-" if value is None else f"{value:.{digits}f}"


def line(name, serf, parley, digits=2):
    ratio = f"{serf / parley:6.2f}" if serf and parley else "     -"
    print(f"{name:34} {text(serf, digits):>9} {text(parley, digits):>9}   {ratio}")


def table(serf, parley, given):
    what = f"{given.agents} agents, {given.victims} victims a mode"
    print(f"\n{what:34} {'serf':>9} {'parley':>9}   serf/parley")
    for mode in MODES:
        for level in LEVELS:
            for which, word in enumerate(("first", "last")):
                of_serf = mean(times(serf, mode, level, which))
                of_parley = mean(times(parley, mode, level, which))
                line(f"{mode}: {word} {level}, s", of_serf, of_parley)
        blind = [sum(t["unreachable"][2] for t in o["found"][mode]) for o in (serf, parley)]
        print(f"{mode + ': have not noticed':34} {blind[0]:9} {blind[1]:9}")
    for level in LEVELS:
        print(f"{'false ' + level:34} {serf['false_' + level]:9} {parley['false_' + level]:9}")
    for when in ("idle", "churn"):
        line(f"{when}: bytes/s an agent", serf[when]["bytes_per_s"], parley[when]["bytes_per_s"], 0)
        line(f"{when}: packets/s", serf[when]["packets_per_s"], parley[when]["packets_per_s"])
        line(f"{when}: CPU ms/s", serf[when]["cpu_ms_per_s"], parley[when]["cpu_ms_per_s"])
    line("resident, KiB", serf["resident_kib"], parley["resident_kib"], 0)
    line("all have found all, s", serf["joined_s"], parley["joined_s"], 1)


def judge(serf, parley):
    judged = {}
    for mode in MODES:
        of_serf = mean(times(serf, mode, "unreachable", 0))
        of_parley = mean(times(parley, mode, "unreachable", 0))
        ratio = of_serf / of_parley if of_serf and of_parley else 0
        judged[f"{mode}: {FASTER:g} times faster"] = ratio >= FASTER
    for when in ("idle", "churn"):
        for what in ("bytes_per_s", "cpu_ms_per_s"):
            judged[f"{when}: no more {what}"] = parley[when][what] <= serf[when][what]
    for what, most in IDLE_MOST.items():
        judged[f"idle: at most {most:g} {what}"] = parley["idle"][what] <= most
    judged["no false event"] = parley["false_unreachable"] + parley["false_dead"] == 0
    return judged


def both(given):
    result = {}
    for kind in ("serf", "parley"):
        if given.only not in (None, kind):
            continue
        with tempfile.NamedTemporaryFile() as into:
            argv = ["--inside", kind, "--json", into.name, "--agents", str(given.agents)]
            argv += ["--victims", str(given.victims), "--idle", str(given.idle)]
            if fleet.inside(argv + ["--slot", str(given.slot)]) != 0:
                return 1
            result[kind] = json.load(into)
        print(f"# {kind}: {json.dumps(result[kind])}", flush=True)
    if len(result) == 2:
        table(result["serf"], result["parley"], given)
        result["judged"] = judge(result["serf"], result["parley"])
        for what, good in result["judged"].items():
            print(f"{what:34} {'yes' if good else 'NO'}")
    if given.json:
        with open(given.json, "w") as f:
            json.dump({"schema": "parley.versus.v1", "data": result}, f, indent=1)
    return 0 if all(result.get("judged", {}).values()) else 1


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--agents", type=int, default=90)
    args.add_argument("--victims", type=int, default=2)
    args.add_argument("--idle", type=float, default=90)
    args.add_argument("--slot", type=float, default=16)
    args.add_argument("--json")
    args.add_argument("--only", choices=KINDS)
    args.add_argument("--inside", choices=KINDS)
    given = args.parse_args()
    why = fleet.missing(fleet.Serf.programs)
    if why:
        print(f"SKIP: {why}")
        return 0
    if not given.inside:
        return both(given)
    with open(given.json, "w") as f:
        json.dump(measure(given.inside, given), f)
    return 0


if __name__ == "__main__":
    sys.exit(main())
