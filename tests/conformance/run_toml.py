#!/usr/bin/env python3
"""Runs build/toml-decode over the toml-test suite (TOML 1.0.0) and reports as TAP.

Before them the bounds of security.md X01: inputs that are refused within LIMIT_MS of processor
time, the start of the process included (ten times as long for a sanitized program). Processor
time, since a busy machine stretches the time on the wall by as much as it likes.

usage: run_toml.py [PROGRAM]      PROGRAM: default $TOML_DECODE, or build/toml-decode

The suite's folder is TOML_TEST, by default ../shared/toml-test beside the repository; where it is
absent its cases are skipped. Values are compared by meaning: floats as numbers, date-times as
moments.
"""

import datetime
import json
import math
import os
import re
import resource
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TIMEOUT_S = 10
LIMIT_MS = 100
HUGE = (  # security.md X01: name, input
    ("100 000 arrays deep", b"a = " + b"[" * 100000),
    ("100 000 inline tables deep", b"a = " + b"{a = " * 100000),
    ("dotted key of 10 000 parts", b".".join([b"a"] * 10000) + b" = 1"),
    ("header of 10 000 parts", b"[" + b".".join([b"a"] * 10000) + b"]"),
    ("100 MB of keys", b"a = 1\n" * 16700000),
)
MOMENT = re.compile(
    r"(?:(\d{4})-(\d\d)-(\d\d))?[Tt ]?(?:(\d\d):(\d\d):(\d\d)(\.\d+)?)?([Zz]|[+-]\d\d:\d\d)?$"
)


def moment(text):
    """A date, time or date-time as comparable numbers; with an offset, as UTC."""
    year, month, day, hour, minute, second, fraction, offset = MOMENT.match(text).groups()
    nanos = int((fraction or ".0")[1:].ljust(9, "0")[:9])
    if not offset:
        return (year, month, day, hour, minute, second, nanos)
    minutes = 0
    if offset not in "Zz":
        minutes = int(offset[1:3]) * 60 + int(offset[4:6])
        minutes = -minutes if offset[0] == "-" else minutes
    at = datetime.datetime(int(year) or 1, int(month), int(day), int(hour), int(minute))
    days = (at - datetime.datetime(1, 1, 1)).total_seconds() / 60 - minutes
    return (year == "0000", days, int(second), nanos)


def same(want, got):
    """Whether two tagged values mean the same."""
    if isinstance(want, list):
        return isinstance(got, list) and len(want) == len(got) and all(map(same, want, got))
    if not isinstance(want, dict) or not isinstance(got, dict) or want.keys() != got.keys():
        return False
    if not (want.keys() == {"type", "value"} and isinstance(want["type"], str)):
        return all(same(want[key], got[key]) for key in want)
    kind, a, b = want["type"], want["value"], got["value"]
    if kind != got["type"]:
        return False
    if kind == "float":
        x, y = float(a.replace("_", "")), float(b)
        return (math.isnan(x) and math.isnan(y)) or x == y
    if kind == "integer":
        return int(a) == int(b)
    if kind in ("datetime", "datetime-local", "date-local", "time-local"):
        return moment(a) == moment(b)
    return a == b


def check(program, suite, name):
    """None when the case passes, else what went wrong. A hang ends the run."""
    with open(os.path.join(suite, name), "rb") as f:
        run = subprocess.run(
            [program], stdin=f, capture_output=True, timeout=TIMEOUT_S, check=False
        )
    if name.startswith("invalid/"):
        if run.returncode != 1:
            return f"accepted, or exit {run.returncode}"
        if not re.match(rb"-:\d+(:\d+)?: error: ", run.stderr):
            return f"no place in the message: {run.stderr[:200]!r}"
        return None
    if run.returncode != 0:
        return f"exit {run.returncode}: {run.stderr[:300]!r}"
    with open(os.path.join(suite, name[:-5] + ".json"), encoding="utf-8") as f:
        want = json.load(f)
    try:
        got = json.loads(run.stdout)
    except ValueError as error:
        return f"its output is no JSON: {error}"
    return None if same(want, got) else f"want {want}\n# got {got}"


def children_cpu_ms():
    """Processor time of the children waited for so far, in milliseconds."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (usage.ru_utime + usage.ru_stime) * 1000


def check_huge(program, data):
    """None when `data` is refused for little work, else what went wrong."""
    limit_ms = LIMIT_MS * (10 if "asan" in program else 1)
    before_ms = children_cpu_ms()
    run = subprocess.run([program], input=data, capture_output=True, timeout=TIMEOUT_S, check=False)
    cpu_ms = children_cpu_ms() - before_ms
    if run.returncode != 1 or b": error: " not in run.stderr:
        return f"exit {run.returncode}: {run.stderr[:200]!r}"
    if cpu_ms > limit_ms:
        return f"took {cpu_ms:.0f} ms of processor time, at most {limit_ms}"
    return None


def report(number, name, wrong):
    """One line of TAP; whether it failed."""
    print(f"{'not ok' if wrong else 'ok'} {number} - {name}")
    if wrong:
        print(f"# {wrong}")
    return wrong is not None


def main():
    program = os.environ.get("TOML_DECODE") or os.path.join(ROOT, "build", "toml-decode")
    program = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else program)
    suite = os.environ.get("TOML_TEST") or os.path.join(ROOT, "..", "shared", "toml-test")
    listing = os.path.join(suite, "files-toml-1.0.0")
    names = []
    if os.path.exists(listing):
        with open(listing, encoding="utf-8") as f:
            names = [line.strip() for line in f if line.strip().endswith(".toml")]
    print(f"1..{len(HUGE) + max(len(names), 1)}")
    failed = 0
    for number, (name, data) in enumerate(HUGE, 1):
        failed += report(number, f"refused in time: {name}", check_huge(program, data))
    if not names:
        print(f"ok {len(HUGE) + 1} - toml-test # SKIP no suite at {suite} (TOML_TEST names it)")
    for number, name in enumerate(names, len(HUGE) + 1):
        failed += report(number, name, check(program, suite, name))
    valid = sum(name.startswith("valid/") for name in names)
    print(f"# {valid} valid, {len(names) - valid} invalid, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
