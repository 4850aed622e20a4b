"""The rows of run_faults.py that are about parley's own process: N33 (descriptors), N47 (reloads),
N49 and N50 (SIGTERM), N51 (a stuck thread).
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time

from faults_site import WEB, resident_kib, sanitized
from inside import Net, read_all, read_until, status
from lab import binary, held_connections, patient, run, wait_for
from manager import Manager

WAIT_ALL = 0x40000000  # __WALL: threads too


def descriptors(host):
    return len(os.listdir(f"/proc/{host.agent.pid}/fd"))


def n33(site, tap):
    """O04 too: the client's own parley has few descriptors and many connections."""
    held = descriptors(site.h1)
    limit = held + 120
    agent = f"--pid={site.h1.agent.pid}"
    before = run(["prlimit", agent, "--nofile", "-o", "SOFT", "--noheadings"]).stdout.strip()
    run(["prlimit", agent, f"--nofile={limit}:"], check=True)
    p = subprocess.Popen(
        site.h1.prefix() + [sys.executable, "-c", held_connections(400)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    p.stdout.readline()
    full = wait_for(lambda: descriptors(site.h1) > limit - 80, 10)
    r = site.h1.parley("status")
    members = site.h1.ask("members")
    share = site.h1.busy(2)
    tap.ok(full, "N33: connections beyond the descriptors", f"{descriptors(site.h1)} of {limit}")
    tap.ok(
        r.returncode == 0 and members,
        "the admin socket answers from reserved descriptors",
        r.stdout + r.stderr,
    )
    pauses = f"accepting pauses and does not spin ({share:.1%} of a core)"
    if sanitized(site.h1):
        tap.skip(pauses, "a sanitizer takes many times as much")
    else:
        tap.ok(share <= 0.05, pauses)
    p.stdin.write("end\n")
    p.stdin.flush()
    p.wait()
    site.serves()
    run(["prlimit", agent, f"--nofile={before}:"], check=True)


class Reloads:
    """Those that changed something, as the log of a host tells from here on."""

    def __init__(self, path):
        self.log = open(path)
        self.log.seek(0, os.SEEK_END)
        self.text = ""

    def count(self):
        self.text += self.log.read()
        return self.text.count(" changed=yes ")


def n47(site, tap):
    """Each is another configuration, and is sent when the one before is in force."""
    h, bad, stop = site.h1, [], threading.Event()

    def ask():
        while not stop.is_set():
            answer = site.get("/n47", 9001)
            if status(answer) != 200:
                bad.append(answer)

    thread = threading.Thread(target=ask)
    thread.start()
    reloads, warm = Reloads(site.path("h1.log")), 0
    for i in range(600):
        h.config(WEB.replace('idle_timeout = "2s"', f'idle_timeout = "{3 - i % 2}s"'))
        os.kill(h.agent.pid, signal.SIGHUP)
        if not wait_for(lambda: reloads.count() > i, 5, 0.002):
            break
        if i == 50:
            warm = resident_kib(h)
    wait_for(lambda: h.parley("ready").returncode == 0, 10)
    after = resident_kib(h)
    stop.set()
    thread.join()
    tap.ok(not bad, "N47: 600 reloads, no request fails", "\n".join(bad[:3]))
    done = reloads.count()
    reloads.log.close()
    tap.ok(done == 600, f"and {done} of 600 are applied", h.log()[-2000:])
    if sanitized(h):
        tap.skip("and memory stays", "a sanitizer's heap grows")
    else:
        tap.ok(after < warm + 2048, f"and memory stays ({warm} to {after} KiB)")


def n49_50(site, tap):
    h = site.h2
    result = []
    ask = threading.Thread(target=lambda: result.append(site.get("/late", 9001)))
    # To the host that will end: the other's parley does not take new ones meanwhile.
    site.h3.parley("drain", "--timeout", "1s")
    wait_for(lambda: site.h1.endpoint_states("api").get("h3") != "up", 10)
    ask.start()
    begun = wait_for(lambda: site.seen("late begun"), 10)
    site.h3.parley("undrain")
    wait_for(lambda: site.h1.endpoint_states("api").get("h3") == "up", 10)
    os.kill(h.agent.pid, signal.SIGTERM)
    gone = wait_for(lambda: site.h1.endpoint_states("api").get("h2") != "up", 10)
    codes = [status(site.get("/n49", 9001)) for _ in range(10)]
    alive = h.agent.poll() is None
    site.go("late")
    ask.join(patient(20))
    code = h.agent.wait(timeout=patient(30))
    tap.ok(
        begun and gone and alive and codes == [200] * 10,
        "N49: SIGTERM with a long answer under way: it leaves, others serve, it waits",
        f"{begun} {gone} {alive} {codes}",
    )
    tap.ok(
        code == 0 and result and status(result[0]) == 200,
        "and ends with 0 when the answer has left",
        f"{code} {result}",
    )
    h.up()
    for first in (b"", b"\x16\x03\x01"):
        s = Net(site.h1, h.addr).tcp(7400)
        s.sendall(first)
        os.kill(h.agent.pid, signal.SIGTERM)
        if first:
            os.kill(h.agent.pid, signal.SIGTERM)
        code = h.agent.wait(timeout=patient(30))
        how = "twice, in a hello" if first else "with a connection that says nothing"
        tap.ok(code == 0, f"N50: SIGTERM {how} ends with 0", f"{code}\n{h.log()[-2000:]}")
        s.close()
        h.up()
    site.serves()


UPGRADE = (
    b"GET /websocket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def n50_begin(site):
    """SIGTERM at h3, through which a WebSocket is open that nobody ends."""
    h = site.h3
    s = site.net.tcp(9005)
    s.settimeout(patient(30))
    s.sendall(UPGRADE)
    said = read_until(s, b"\r\n\r\n")
    os.kill(h.agent.pid, signal.SIGTERM)
    wait_for(lambda: site.h1.endpoint_states("side").get("h3") != "up", 10)
    s.sendall(b"ping")
    return s, said + read_until(s, b"ping")


def n50_end(site, tap, tunnel):
    h = site.h3
    s, said = tunnel
    code = h.agent.wait(timeout=patient(30))
    rest = read_all(s)
    s.close()
    tap.ok(
        said.startswith(b"HTTP/1.1 101") and said.endswith(b"ping"),
        "N50: SIGTERM with a WebSocket open: it goes on while it may",
        said,
    )
    tap.ok(code == 0 and rest in (b"", b"<reset>"), "and ends with 0 at the limit", (code, rest))
    h.up()


def stuck(pid):
    """Stops a data thread of this process for good, as a debugger would; its id."""
    attach = 16
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    worker = max(int(t) for t in os.listdir(f"/proc/{pid}/task"))
    if libc.ptrace(attach, worker, None, None) != 0:
        return None
    os.waitpid(worker, WAIT_ALL)
    return worker


def n51(site, tap):
    """One data thread stopped: the watchdog starves, and the manager starts another process."""
    h = site.h3
    h.kill(signal.SIGTERM)
    manager = Manager(site.path("notify"))
    log = open(site.path("h3.log"), "ab")
    argv = [binary(), "up", "--root", h.root]

    def start():
        how = {"stdout": log, "stderr": log, "start_new_session": True}
        p = manager.start(argv, h.prefix(), env={"WATCHDOG_USEC": "2000000"}, **how)
        site.lab.processes.append(p)
        return p

    h.agent = start()
    fed = manager.wait("READY=1", 10) and manager.wait("WATCHDOG=1", 10)
    worker = stuck(h.agent.pid)
    begun = time.monotonic()
    while manager.hear("WATCHDOG=1", 2):
        manager.forget()
    manager.forget()
    os.kill(h.agent.pid, signal.SIGABRT)
    if worker:
        os.waitpid(worker, WAIT_ALL)
    code = h.agent.wait(timeout=patient(10))
    h.agent = start()
    ready = manager.wait("READY=1", 10)
    took = time.monotonic() - begun
    tap.ok(
        fed and worker and code == -signal.SIGABRT,
        "N51: a data thread that is stuck starves the watchdog, and only then",
        f"fed={bool(fed)} stopped={worker} exit={code}",
    )
    tap.ok(
        ready and took < 12 and manager.wait("WATCHDOG=1", 10),
        f"and within 12 s the manager has started another ({took:.1f} s)",
    )
    back = wait_for(lambda: status(site.get("/n51", 9005)) == 200, 15)
    tap.ok(back, "which serves", site.get("/n51", 9005))
