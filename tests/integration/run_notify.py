#!/usr/bin/env python3
"""The service manager's side, played by a small fake: READY=1 with listeners bound, RELOADING=1
with MONOTONIC_USEC on SIGHUP, watchdog pings, STOPPING=1 and status 0 on SIGTERM; no core files.

Time limit: 240 s
"""

import os
import shutil
import signal
import socket
import sys
import tempfile
import time

from lab import Tap, binary, run, skip_all
from manager import Manager

ADDR = "127.0.0.46"


def field(pid, name):
    with open(f"/proc/{pid}/status") as f:
        for line in f:
            if line.startswith(name + ":"):
                return line.split()[1]
    return ""


def main():
    if not os.path.exists(binary()):
        skip_all("build/parley does not exist (make all)")
    tap = Tap()
    folder = tempfile.mkdtemp(prefix="parley-notify-")
    root = os.path.join(folder, "root")
    os.mkdir(root)
    process = None
    try:
        r = run([binary(), "init", "--mesh", "m", "--node", "n", "--addr", ADDR, "--root", root])
        tap.ok(r.returncode == 0, "init", r.stdout + r.stderr)
        manager = Manager(os.path.join(folder, "notify"))
        env = {"WATCHDOG_USEC": "1000000"}
        log = open(os.path.join(folder, "log"), "wb")
        start = time.monotonic()
        process = manager.start([binary(), "up", "--root", root], env=env, stdout=log, stderr=log)
        ready = manager.wait("READY=1", 10)
        took = (time.monotonic() - start) * 1000
        tap.ok(ready, "READY=1 comes", open(os.path.join(folder, "log")).read())
        tap.note(f"start to READY: {took:.0f} ms")
        c = socket.create_connection((ADDR, 7400), timeout=2)
        c.close()
        tap.ok(True, "and the mesh port is bound by then")
        tap.ok(manager.wait("WATCHDOG=1", 3), "the watchdog is fed")
        tap.ok(field(process.pid, "NoNewPrivs") == "1", "no new privileges")
        with open(f"/proc/{process.pid}/limits") as f:
            core = next(line for line in f if line.startswith("Max core file size"))
        tap.ok(core.split()[4] == "0", "no core files", core)
        manager.forget()
        process.send_signal(signal.SIGHUP)
        reloading = manager.wait("RELOADING=1", 3)
        tap.ok(
            reloading and "MONOTONIC_USEC=" in reloading, "SIGHUP says RELOADING=1 with its time"
        )
        tap.ok(manager.wait("READY=1", 3), "and READY=1 again")
        manager.forget()
        process.send_signal(signal.SIGTERM)
        tap.ok(manager.wait("STOPPING=1", 3), "SIGTERM says STOPPING=1")
        tap.ok(process.wait(timeout=30) == 0, "and ends with status 0")
        tap.ok(
            not os.path.exists(os.path.join(root, "run/parley/parley.sock")), "its socket is gone"
        )
    finally:
        if process and process.poll() is None:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
