#!/usr/bin/env python3
"""Where a request's time goes in a pair of parleys: GET of 1 KiB at 32 connections, by stage, each
against its budget.

The pair of pair_rigs.py runs with everything on under wrk. It is build/rel/bench/parley, in which
each function is where its name says; the shipped program is optimized as a whole and takes less.
What it costs is the scheduler's time; what part of it each stage takes is what perf samples, by
function (STAGE_OF below). The same pair under valgrind --tool=callgrind then counts the
instructions of each stage, without the kernel's, and who calls what is shared; where perf is
missing its shares of the time in user mode are judged. The budgets are microseconds of a machine on
which nginx's pair takes 56.5: they are scaled by what it takes here, in turns with ours, each in
its quietest round. Exit 1 when a stage or their sum is over by more than the noise. Needs root, a
minute.

usage: stages.py [--rounds 5] [--seconds 2] [--functions N] [--json FILE]
--functions: also the N dearest of each stage.
"""

import argparse
import bisect
import collections
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import pair_load as load
import pair_rigs as rigs

NGINX_US = 56.5  # of the machine that the budgets are for
STAGES = {
    "kernel": ("kernel, system calls", 19.0),
    "frame": ("frames, streams, fields, their memory", 2.8),
    "tls": ("TLS records", 1.0),
    "parse": ("parsing both heads", 0.6),
    "heads": ("head assembly, copies, tables", 1.6),
    "loop": ("event loop, timers", 0.5),
    "mesh": ("route, policy, retries, metrics, log", 4.0),
}
TOTAL_US = 30.0
# A sixth of what the budgets' own measurement calls noise.
NOISE_US = 0.5
# The first that matches "file:function" has it; files of libraries are named by their objects. The
# budgets are those of a prototype that knew one way and no failure: all that it had not is "mesh".
# What nghttp2 did for it, streams and fields with their memory, is "frame" wherever it is done now.
STAGE_OF = (
    ("kernel", r":(__libc_|__|_)?(send|recv|sendto|recvfrom|sendmsg|recvmsg|read|write|writev)$"),
    ("kernel", r":(__libc_|__|_)?(epoll_\w+|accept4?|connect|close|ioctl|setsockopt|syscall)$"),
    ("kernel", r":__(internal_)?syscall_cancel|:__pthread_(en|dis)able_asynccancel"),
    ("loop", r"^(ev|loop|clock|event|heap)\.[co]:|:ev_|:(__)?(clock_gettime|gettimeofday)|^vdso:"),
    ("frame", r"^nghttp2_|:nghttp2_|^(h2|h2_\w+|link|link_(send|recv|head|names|place)|mux)\.c:"),
    ("frame", r"^(mux_\w+|link_(client|server)|h2_(app|plain)|slab|arena)\.c:|^malloc\.o:"),
    ("frame", r":(__libc_)?(malloc|free|calloc)$"),
    ("frame", r":(__libc_)?realloc$|:_int_(malloc|free|realloc)|:tcache_"),
    ("tls", r":br_|^(tls_\w+|conn_tls|p256)\.c:|^(ssl_|aes_|ghash_|ec_|sha2)\w*\.o:"),
    ("parse", r"^(llhttp|api|http)\.c:|:llhttp_"),
    ("mesh", r"^(exchange|exchange_steps|listener|lineage|session|context|pressure|hist|prom)\.c:"),
    ("mesh", r"^(account|admission|affinity|attempt|deadline|pacing|request_id|local|retry)\.c:"),
    ("mesh", r"^(authz|chain|filter_headers|access_log|metrics|metrics_render|access_sink)\.c:"),
    ("mesh", r"^(lb|lb_table|load|endpoint_state|edge_state|outlier|gate|budget|circuit)\.c:"),
    ("mesh", r"^(keepalive|pace|view|publish|snapshot|pool|translate|h1_scan|uri|rng|hash)\.c:"),
    ("mesh", r"^headers\.c:(headers_(hop|strip|list|remove|look|token|value)|hop_|folded_)"),
    ("frame", r"^headers\.c:"),
    ("heads", r""),
)
# These count for whoever calls them, as callgrind sees it.
SHARED = re.compile(
    r":(__)?(mem(cpy|move|set|cmp|chr|pcpy)|str(n?len|n?cmp|chr))(_\w+)?$"
    r"|:(__)?clock_gettime|^clock\.c:|^loop\.c:loop_now_[mu]s$|^(strbuf|span|name)\.c:"
)
COPY = re.compile(r"^_*(memcpy|memmove|mempcpy)")


def stage_of(file, function):
    name = f"{file}:{function}"
    return next(stage for stage, pattern in STAGE_OF if re.search(pattern, name))


class Stages:
    """Shares of each function in the stages. `calls`: who spends how much in a shared one."""

    def __init__(self, calls):
        self.known = {}
        self.callers = collections.defaultdict(collections.Counter)
        for (caller, callee), cost in calls.items():
            if caller != callee:
                self.callers[self.plain(callee)][caller] += cost

    @staticmethod
    def plain(function):
        """Of the variants for one processor or another, the name alone."""
        return re.sub(r"^_+|(_(avx|sse|evex|erms|chk)\w*)+$", "", function[1])

    def of(self, function, depth=6):
        if function not in self.known:
            self.known[function] = self.share(function, depth)
        return self.known[function]

    def share(self, function, depth):
        if function[0] == "kernel":
            return {"kernel": 1.0}
        callers = self.callers.get(self.plain(function))
        if not SHARED.search(":".join(function)) or not callers or depth == 0:
            return {stage_of(*function): 1.0}
        found, every = collections.Counter(), sum(callers.values())
        for caller, cost in callers.items():
            for stage, share in self.of(caller, depth - 1).items():
                # A copy is of a stage of its own in the budgets, but for what the mesh adds.
                copied = stage in ("tls", "frame") and COPY.search(function[1])
                found["heads" if copied else stage] += share * cost / every
        return found

    def sum(self, counted):
        stages = collections.Counter()
        for function, n in counted.items():
            for stage, share in self.of(function).items():
                stages[stage] += n * share
        return stages


class Symbols:
    """Functions of a program that is loaded anywhere, by address. A local one's file stands in the
    symbol table; a global one of ours begins with its file's name."""

    def __init__(self, program):
        text = subprocess.run(["readelf", "-sW", program], capture_output=True, text=True).stdout
        rows = [line.split() for line in text.splitlines() if re.match(r"\s+\d+:", line)]
        stems = {r[7][:-2] for r in rows if r[3] == "FILE" and len(r) > 7 and r[7].endswith(".c")}
        found, file = {}, ""
        for r in rows:
            if r[3] == "FILE":
                file = r[7] if len(r) > 7 else ""
            elif r[3] in ("FUNC", "IFUNC") and len(r) > 7 and r[6] != "UND":
                local = file if r[4] == "LOCAL" else self.owner(r[7], stems)
                found[int(r[1], 16)] = (local, r[7])
        self.starts = sorted(found)
        self.found = found

    @staticmethod
    def owner(name, stems):
        parts = name.split("_")
        for n in range(len(parts), 0, -1):
            if "_".join(parts[:n]) in stems:
                return "_".join(parts[:n]) + ".c"
        return ""

    def at(self, address):
        i = bisect.bisect_right(self.starts, address) - 1
        return self.found[self.starts[i]] if i >= 0 else ("", "")


def base_of(pid, program):
    """Where the program is loaded."""
    with open(f"/proc/{pid}/maps") as f:
        return min(int(line.split("-")[0], 16) for line in f if line.rstrip().endswith(program))


def sample(rig, symbols, program, seconds):
    """Counter of (file, function), the kernel's being ("kernel", ""), over both sides; {}: perf
    samples nothing here."""
    path = os.path.join(rig.folder, "perf")
    pids = ",".join(str(side.pid) for side in rig.side)
    argv = ["perf", "record", "-q", "-e", "cpu-clock", "-F", "4000", "-o", path, "-p", pids]
    argv += ["--", "sleep", str(seconds)]
    if subprocess.run(argv, stderr=subprocess.DEVNULL).returncode != 0:
        return {}
    argv = ["perf", "script", "-i", path, "-F", "pid,ip,dso"]
    text = subprocess.run(argv, capture_output=True, text=True).stdout
    base = {str(side.pid): base_of(side.pid, program) for side in rig.side}
    counted = collections.Counter()
    for pid, address, dso in re.findall(r"^\s*(\d+)\s+([0-9a-f]+) \((.*)\)$", text, re.M):
        if dso.endswith(program):
            counted[symbols.at(int(address, 16) - base[pid])] += 1
        elif "vdso" in dso:
            counted["vdso", "clock_gettime"] += 1
        else:
            counted["kernel", ""] += 1
    return counted


class Counted(rigs.Parley):
    """The pair with every instruction counted, which takes its time to come up."""

    start_s = 60

    def spawn(self, argv, name, **kw):
        tool = ["valgrind", "-q", "--tool=callgrind", "--separate-threads=no"]
        tool.append(f"--callgrind-out-file={self.folder}/{name}.callgrind")
        super().spawn(tool + argv, name, **kw)

    def control(self, what):
        for side in self.side:
            argv = ["callgrind_control", what, str(side.pid)]
            subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)

    def instructions(self):
        """Of both sides since the last time: what each function costs without what it calls, and
        what each (caller, called) costs with it."""
        counted, calls = collections.Counter(), collections.Counter()
        for path in glob.glob(f"{self.folder}/*.callgrind.*"):
            with open(path) as f:
                Profile(f, counted, calls)
        return counted, calls


class Profile:
    """One callgrind profile, added to both counters, of (file, function)."""

    def __init__(self, lines, counted, calls):
        self.names = {}
        here, file, callee, callee_file = ("", ""), "", "", ""
        called = False
        for line in lines:
            kind, _, text = line.rstrip().partition("=")
            if kind == "fl":
                file = callee_file = self.file(text)
            elif kind in ("fi", "fe"):
                self.file(text)
            elif kind == "fn":
                here = (file, self.name("fn", text))
            elif kind in ("cfi", "cfl"):
                callee_file = self.file(text)
            elif kind == "cfn":
                callee = self.name("fn", text)
            elif kind == "calls":
                called = True
            elif line[0] in "0123456789+-*":
                cost = int(line.split()[1])
                if called:
                    calls[here, (callee_file, callee)] += cost
                    callee_file = file
                else:
                    counted[here] += cost
                called = False

    def name(self, kind, text):
        """Names are given once, and then meant by their numbers."""
        number, _, name = text.partition(" ")
        if name:
            self.names[kind, number] = name.split("'")[0]
        return self.names[kind, number]

    def file(self, text):
        return os.path.basename(self.name("file", text)).replace("???", "")


def cpu_us(rig, seconds):
    r = load.Wrk("/1k", 32).run(rig, seconds)
    if r["errors"]:
        raise RuntimeError(f"{rig.name}: requests failed: {r}")
    return r["cpu_us"] / r["requests"]


def in_kernel(rig):
    """What part of the time of both sides was the kernel's, by the clock's ticks."""
    user = system = 0
    for pid in rig.pids():
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rpartition(")")[2].split()
        user, system = user + int(fields[11]), system + int(fields[12])
    return system / (user + system)


def background(rig, seconds):
    argv = load.Wrk("/1k", 32).argv(rig, seconds)
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def measure_time(folder, given):
    """Microseconds a request of both pairs, and samples by function."""
    ours, nginx = rigs.Parley(folder, 1), rigs.Nginx(folder, 1)
    program = ours.binary()
    try:
        ours.start()
        nginx.start()
        pairs = [(cpu_us(ours, given.seconds), cpu_us(nginx, given.seconds)) for _ in given.turns]
        print("# us a request, ours and nginx:", *(f"{a:.1f}/{b:.1f}" for a, b in pairs))
        samples = {}
        if shutil.which("perf"):
            seconds = given.seconds * given.rounds
            busy = background(ours, seconds + 2)
            samples = sample(ours, Symbols(program), program, seconds)
            busy.communicate()
        share = in_kernel(ours)
    finally:
        ours.stop()
        nginx.stop()
    us, scale = min(a for a, _ in pairs), min(b for _, b in pairs) / NGINX_US
    return us, scale, samples, share


def measure_instructions(folder, given):
    """Instructions a request by function, and the calls; {}: valgrind is not here."""
    if shutil.which("valgrind") is None:
        return {}, {}
    os.makedirs(f"{folder}/counted")
    rig = Counted(f"{folder}/counted", 1)
    rig.certs = folder
    try:
        rig.start()
        background(rig, 3).communicate()
        rig.control("-z")
        text = background(rig, 2 * given.seconds).communicate()[0]
        rig.control("-d")
        requests = int(re.search(r"(\d+) requests in", text)[1])
        counted, calls = rig.instructions()
        return {name: n / requests for name, n in counted.items()}, calls
    finally:
        rig.stop()


def verdict(took, budget):
    if took > budget + NOISE_US:
        return "over"
    return "ok" if took <= budget else "over, less than the noise"


def table(time_of, count_of, given):
    """Prints it; what is over its budget."""
    (us, scale, samples, share), (instructions, calls) = time_of, count_of
    stages = Stages(calls)
    sampled, counted = stages.sum(samples), stages.sum(instructions)
    every, count = sum(sampled.values()), sum(counted.values())
    over, rows = [], {}
    print(f"# {every:.0f} samples, {count:.0f} instructions a request")
    print(f"# budgets of a machine where nginx takes {NGINX_US} us, here times {scale:.2f}")
    heads = ("budget us", "share", "us", "share", "instr", "as us")
    print(f"{'stage':42}" + "".join(f"{head:>11}" for head in heads))
    for key, (name, budget) in STAGES.items():
        by_count = us * (1 - share) * counted[key] / count if count else 0
        took = us * sampled[key] / every if every else by_count
        if key == "kernel" and not every:
            took = us * share
        rows[key] = {"us": took, "budget_us": budget * scale, "instructions": counted[key]}
        print(
            f"{name:42}{budget * scale:11.2f}{budget / TOTAL_US:11.1%}{took:11.2f}"
            f"{took / (TOTAL_US * scale):11.1%}{counted[key]:11.0f}{by_count:11.2f}"
            f"  {verdict(took / scale, budget)}"
        )
        if verdict(took / scale, budget) == "over":
            over.append(name)
        by_name = (samples or instructions).items()
        dear = [(n * stages.of(f)[key], f) for f, n in by_name if key in stages.of(f)]
        for n, f in sorted(dear, reverse=True)[: given.functions]:
            print(f"    {us * n / every if every else n:8.2f}  {f[0]}:{f[1]}")
    whole = f"{TOTAL_US * scale:11.2f}{1:11.1%}{us:11.2f}{us / TOTAL_US / scale:11.1%}"
    print(f"{'all':42}{whole}{count:11.0f}")
    if us > TOTAL_US * scale:
        over.append("all")
    if given.json:
        rigs.write(os.path.abspath(given.json), json.dumps({"us": us, "stages": rows}, indent=1))
    return over


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--functions", type=int, default=0)
    parser.add_argument("--json")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    needed = ("openssl", "nginx", "wrk", "curl", "ip", "readelf")
    lacking = [name for name in needed if shutil.which(name) is None]
    if os.geteuid() != 0 or lacking or not (shutil.which("perf") or shutil.which("valgrind")):
        print(f"# SKIP needs root, {', '.join(needed)}, and perf or valgrind")
        return 0
    if not given.inside:
        return subprocess.call(["unshare", "-n", sys.executable, *sys.argv, "--inside"])
    given.turns = range(given.rounds)
    os.environ.setdefault("PARLEY", os.path.join(rigs.ROOT, "build/rel/bench/parley"))
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    rigs.prepare_limits()
    folder = tempfile.mkdtemp(prefix="stages")
    os.chmod(folder, 0o755)
    rigs.make_certificates(folder)
    origin = rigs.Origin(folder)
    try:
        time_of = measure_time(folder, given)
        over = table(time_of, measure_instructions(folder, given), given)
    finally:
        origin.stop()
        shutil.rmtree(folder)
    print("over their budget: " + ", ".join(over) if over else "every stage is within its budget")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
