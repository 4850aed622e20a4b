#!/usr/bin/env python3
"""Runs build/toml-decode over the toml-test suite (TOML 1.0.0) and reports as TAP.

usage: run_toml.py [PROGRAM]      PROGRAM: default build/toml-decode

The suite's folder is TOML_TEST, by default ../shared/toml-test beside the repository; where it is
absent the one test is skipped. Values are compared by meaning: floats as numbers, date-times as
moments.
"""
import datetime
import json
import math
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TIMEOUT_S = 10
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
    """None when the case passes, else what went wrong."""
    with open(os.path.join(suite, name), "rb") as f:
        run = subprocess.run([program], stdin=f, capture_output=True, timeout=TIMEOUT_S,
                             check=False)
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
    got = json.loads(run.stdout)
    return None if same(want, got) else f"want {want}\n# got {got}"


def main():
    program = sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "build", "toml-decode")
    suite = os.environ.get("TOML_TEST") or os.path.join(ROOT, "..", "shared", "toml-test")
    listing = os.path.join(suite, "files-toml-1.0.0")
    if not os.path.exists(listing):
        print(f"1..0 # SKIP no toml-test suite at {suite} (TOML_TEST names another folder)")
        return 0
    with open(listing, encoding="utf-8") as f:
        names = [line.strip() for line in f if line.strip().endswith(".toml")]
    print(f"1..{len(names)}")
    failed = 0
    for number, name in enumerate(names, 1):
        wrong = check(program, suite, name)
        failed += wrong is not None
        print(f"{'not ok' if wrong else 'ok'} {number} - {name}")
        if wrong:
            print(f"# {wrong}")
    valid = sum(name.startswith("valid/") for name in names)
    print(f"# {valid} valid, {len(names) - valid} invalid, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
