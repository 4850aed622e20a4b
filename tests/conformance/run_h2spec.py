#!/usr/bin/env python3
"""h2spec, strict, against the port that local clients call, in the clear and over TLS, and, behind
a TLS relay with a client certificate, against the mesh port.

h2spec: `go install github.com/summerwind/h2spec/cmd/h2spec@latest`, or $H2SPEC. Skipped without it.

Time limit: 120 s
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../integration"))

from lab import Tap, binary, run, skip_all, wait_for
from loopback import Node, Relay, boot

APP = "127.0.77.2:8081"
CLIENT_PORT = ("127.0.77.1", 9001)
SEALED_PORT = ("127.0.77.1", 9002)
RELAY_PORT = ("127.0.77.1", 9100)
NODE_1 = """
[service.web]
local = "127.0.77.1:8080"
health = "none"
[upstream.api]
listen = "127.0.77.1:9001"
[upstream.sealed]
listen = "127.0.77.1:9002"
tls = {{ cert = "{folder}/sealed.crt", key = "{folder}/sealed.key" }}
"""
NODE_2 = f"""
[service.api]
local = "{APP}"
health = "none"
allow = ["web"]
[service.sealed]
local = "{APP}"
health = "none"
allow = ["web"]
"""


def answers():
    r = run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "http://127.0.77.1:9001/"])
    return r.stdout == "200"


def certificate(folder):
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    argv += ["-nodes", "-days", "2", "-subj", "/CN=sealed"]
    argv += ["-keyout", f"{folder}/sealed.key", "-out", f"{folder}/sealed.crt"]
    subprocess.run(argv, check=True, capture_output=True)
    os.chmod(f"{folder}/sealed.key", 0o600)


def h2spec(tap, program, at, name, *more):
    argv = [program, "--strict", "-h", at[0], "-p", str(at[1]), "-o", "5", *more]
    r = run(argv, timeout=100)
    text = re.sub(r"\x1b\[[0-9;]*m", "", r.stdout)
    found = re.search(r"(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed", text)
    counts = [int(n) for n in found.groups()] if found else [0, 0, 0, 1]
    good = found and counts[0] == counts[1] and counts[0] >= 146
    _, _, failures = text.partition("Failures:")
    tap.ok(good, f"h2spec strict on {name}: {counts[1]}/{counts[0]}", failures or text)


def run_all(tap, folder, program):
    one, two = Node(folder, 1), Node(folder, 2)
    app = subprocess.Popen(
        [binary(), "testapp", "echo", "--listen", APP],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        certificate(folder)
        if not boot(tap, one, two, NODE_1.format(folder=folder), NODE_2):
            return
        if not tap.ok(wait_for(answers, 20), "a request passes", one.said() + two.said()):
            return
        h2spec(tap, program, CLIENT_PORT, "the port of local clients")
        h2spec(tap, program, SEALED_PORT, "the same over TLS", "-t", "-k")
        relay = Relay(RELAY_PORT, (two.addr, 7400), "api.lab", one, "web")
        h2spec(tap, program, RELAY_PORT, "the mesh port")
        relay.close()
        tap.ok(one.alive() and two.alive() and answers(), "both hosts are well", two.said())
    finally:
        for node in (one, two):
            node.stop()
        app.kill()
        app.wait()


def main():
    program = os.environ.get("H2SPEC") or shutil.which("h2spec")
    if program is None:
        skip_all("h2spec is not installed")
    if not os.access(binary(), os.X_OK):
        skip_all(f"no {binary()}")
    tap = Tap()
    folder = tempfile.mkdtemp(prefix="parley-h2spec-")
    try:
        run_all(tap, folder, program)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
