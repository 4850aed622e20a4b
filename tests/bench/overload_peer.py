#!/usr/bin/env python3
"""HAProxy on the rows of the overload table that run_overload.py asks of us: O01, O02, O04 to O07,
by the same clients and the same requirements, for information. Its configuration has what its
manual offers for each row. Needs root, two minutes. Always exit 0.
"""

import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../integration"))
import run_overload as rows
from inside import Net, get
from lab import Lab, binary, wait_for

CONFIG = """
global
    maxconn 8000
    stats socket {folder}/haproxy.sock level admin
defaults
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 30s
    timeout http-keep-alive 60s
    option http-buffer-request
frontend api
    bind 127.0.0.1:9001
    timeout http-request 4s
    default_backend app
frontend db
    bind 127.0.0.1:9002
    timeout http-request 10s
    default_backend app
frontend metrics
    bind 127.0.0.1:9009
    timeout http-request 4s
    http-request use-service prometheus-exporter
backend app
    server app 127.0.0.1:8081
"""


class Checks:
    """A row is as required when all it checks is."""

    def __init__(self):
        self.wrong = []

    def ok(self, good, name, detail=""):
        if not good:
            said = str(detail).splitlines()
            self.wrong.append(f"{name}: {said[0][:80]}" if said else name)
        return good

    def note(self, text):
        pass


class Peer(rows.Site):
    def __init__(self, lab):
        self.lab = lab
        self.h1 = lab.host[1]
        self.net = Net(self.h1, "127.0.0.1")
        self.h1.parley = self.operator

    def start(self):
        argv = [binary(), "testapp", "echo", "--listen", "127.0.0.1:8081"]
        self.h1.spawn(*argv, log="app.log")
        path = os.path.join(self.lab.folder, "haproxy.cfg")
        with open(path, "w") as f:
            f.write(CONFIG.format(folder=self.lab.folder))
        self.h1.agent = self.h1.spawn("haproxy", "-db", "-f", path, log="haproxy.log")
        return wait_for(lambda: self.operator().returncode == 0, 5) and wait_for(self.well, 5)

    def operator(self, *_):
        """Whether it answers its operator, as `parley status` would tell."""
        ask = (
            "import socket; s = socket.socket(socket.AF_UNIX); s.settimeout(5);"
            f"s.connect({self.lab.folder + '/haproxy.sock'!r}); s.sendall(b'show info\\n');"
            "assert b'Uptime' in s.recv(65536)"
        )
        return self.h1.run(sys.executable, "-c", ask)

    def metrics(self):
        return get(self.net.tcp(9009), "/metrics")


def ask(lab, row):
    """What was not as required; each row has an instance of its own."""
    checks, site = Checks(), Peer(lab)
    if not site.start():
        return ["it does not come up"]
    try:
        row(site, checks)
    except (OSError, ValueError, TypeError, subprocess.SubprocessError) as e:
        checks.wrong.append(f"{type(e).__name__}: {e}"[:120])
    return checks.wrong


def main():
    if os.geteuid() != 0 or shutil.which("haproxy") is None or not os.path.exists(binary()):
        print("# SKIP needs root, haproxy and build/parley")
        return 0
    asked = (
        ("O01, slow heads", rows.slow_heads),
        ("O02, slow bodies", rows.slow_bodies),
        ("O04, descriptors", rows.descriptors_gone),
        ("O05, resets", rows.resets),
        ("O06, pipeline", rows.pipeline),
        ("O07, labels", rows.labels),
    )
    right = 0
    for name, row in asked:
        with Lab(1) as lab:
            wrong = ask(lab, row)
        right += not wrong
        print(f"haproxy, {name}: {'as required' if not wrong else '; '.join(wrong)}", flush=True)
    print(f"haproxy: {right} of {len(asked)} rows as required; ours: run_overload.py")
    return 0


if __name__ == "__main__":
    sys.exit(main())
