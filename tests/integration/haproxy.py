"""HAProxy beside us: the same rows against it, for information. For the run_*.py scripts."""

import os
import shutil
import subprocess

from lab import wait_for

DEFAULTS = """
defaults
    mode http
    timeout client 10s
    timeout server 10s
    timeout connect 2s
"""


def score(tap, folder, config, ready, results):
    """Starts it with `config`, waits until `ready()`, and notes how many of `results()`, pairs of a
    row's name and its complaint or None, are as required, and which are not."""
    program = shutil.which("haproxy")
    if program is None:
        tap.note("haproxy is not installed: no score beside ours")
        return
    path = os.path.join(folder, "haproxy.cfg")
    with open(path, "w") as f:
        f.write(DEFAULTS + config)
    process = subprocess.Popen([program, "-db", "-f", path], stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: process.poll() is not None or ready(), 5)
        rows = list(results())
        failed = [f"{name}: {complaint}"[:150] for name, complaint in rows if complaint]
        tap.note(f"haproxy: {len(rows) - len(failed)} of {len(rows)} rows as required; not:")
        for line in failed:
            tap.note(f"  {line}")
    finally:
        process.kill()
        process.wait()
