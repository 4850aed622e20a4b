#!/usr/bin/env python3
"""The rows O03 and O09 of the overload table: two hosts, each of whose parleys lives in a memory
control group of 64 MiB, under floods that want more. Each must shed, not be killed, answer its
operator meanwhile, and serve as before when it is over.

Time limit: 240 s
"""

import os
import subprocess
import sys
import time

from inside import Net, get
from lab import Lab, Tap, binary, patient, skip_all, wait_for
from loopback import key_pem
from memory_group import MemoryGroup

LIMIT = 64 << 20
# What waits before bodies shrink is for each thread.
NODE = "[node]\nthreads = 2\n"
API = NODE + '[service.api]\nlocal = "127.0.0.1:8081"\nallow = ["web"]\n'
WEB = NODE + (
    '[service.web]\nlocal = "127.0.0.1:8080"\nhealth = "none"\n'
    '[upstream.api]\nlisten = "127.0.0.1:9001"\nrequest_timeout = "5s"\n'
)
# Runs inside the caller's namespace: holds `count` connections until its input ends.
FLOOD = """
import resource, select, socket, ssl, sys
kind, count, peer, pem, chain = sys.argv[1], int(sys.argv[2]), *sys.argv[3:6]
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
context.set_alpn_protocols(["h2"])
context.maximum_version = ssl.TLSVersion.TLSv1_2
context.load_cert_chain(chain, pem)
def hello():
    out = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="api.lab")
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        return out.read()
text = {
    "silent": b"",
    "heads": b"GET / HTTP/1.1\\r\\nHost: a\\r\\nX: " + b"x" * 12000,
    "hellos": hello(),
    "links": b"PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0)),
    "uploads": b"POST /delay/4000 HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 9999999\\r\\n\\r\\n"
    + b"x" * 1000000,
    "readers": b"GET /bytes/10485760 HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n",
}[kind]
mesh = kind in ("hellos", "links")
held, refused = [], 0
for i in range(count):
    s = socket.socket()
    s.settimeout(10 if kind == "links" else 1)
    if kind == "readers":
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    try:
        s.connect((peer, 7400) if mesh else ("127.0.0.1", 9001))
        if kind == "links":
            s = context.wrap_socket(s, server_hostname="api.lab")
        s.setblocking(False)
        if text:
            s.send(text)
        held.append(s)
    except OSError:
        refused += 1
if kind == "readers":
    # Each has the beginning of its answer, so there is more behind it.
    for s in held:
        select.select([s], [], [], 20)
print(len(held), refused, flush=True)
sys.stdin.readline()
"""
ROOMY = '[limits]\nmemory = "1GiB"\n'
# What comes, how often, and which host it is for; `shed`: it wants more than the budget.
ROWS = [
    ("silent", 3000, 1, False, "connections that say nothing"),
    ("heads", 2500, 1, True, "heads that do not end"),
    ("hellos", 5000, 2, True, "TLS hellos without a handshake"),
    ("links", 500, 2, True, "mesh links without use"),
    ("uploads", 500, 1, False, "uploads to an application that waits"),
]


READERS = ("readers", 500, 1, False, "answers of 10 MB that nobody reads")


class Site:
    def __init__(self, lab, groups):
        self.hosts = {1: lab.host[1], 2: lab.host[2]}
        self.groups = groups
        self.mesh = lab.host[2].addr
        self.folder = lab.folder
        self.net = Net(lab.host[1], "127.0.0.1")

    def confine(self, tap, n):
        """Starts the agent of this host anew inside its group."""
        self.hosts[n].kill()
        self.enter(tap, n, [binary(), "up", "--root", self.hosts[n].root])

    def enter(self, tap, n, agent):
        """Starts what serves this host inside its group."""
        h, group = self.hosts[n], self.groups[n]
        # Unlike `ip netns exec` this leaves /sys as it is, where the limit is read.
        argv = ["nsenter", f"--net=/var/run/netns/{h.netns}", *agent]
        with open(os.path.join(self.folder, f"{h.name}.log"), "ab") as out:
            h.agent = subprocess.Popen(
                group.enter(argv),
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        h.lab.processes.append(h.agent)
        up = wait_for(lambda: h.parley("ready").returncode == 0, 15)
        return tap.ok(up, f"{h.name} is ready in a group of 64 MiB", h.log()[-2000:])

    def start(self, tap, limits):
        argv = [binary(), "testapp", "echo", "--listen", "127.0.0.1:8081"]
        self.hosts[2].spawn(*argv, log="app.log")
        self.hosts[1].config(WEB + limits)
        self.hosts[2].config(API + limits)
        for n in self.hosts:
            self.confine(tap, n)
        return tap.ok(wait_for(self.well, 20), "a request passes")

    def well(self):
        try:
            return "200 OK" in get(self.net.tcp(9001), "/well")
        except (OSError, subprocess.SubprocessError):
            return False

    def resident(self, n):
        with open(f"/proc/{self.hosts[n].agent.pid}/status") as f:
            return int(next(line for line in f if line.startswith("VmRSS")).split()[1]) // 1024

    def settled(self):
        """What both have once it grows no more."""
        seen = []
        wait_for(
            lambda: seen.append([self.resident(n) for n in self.hosts])
            or (len(seen) > 3 and seen[-1] == seen[-4]),
            3,
            step=0.2,
        )
        return seen[-1]

    def shed(self, n):
        argv = ["curl", "-s", "--unix-socket", f"{self.hosts[n].root}/run/parley/parley.sock"]
        text = self.hosts[n].run(*argv, "http://localhost/metrics").stdout
        kinds = ("shed_memory", "shed_share", "sessions_refused")
        names = tuple(f"parley_{kind}_total " for kind in kinds)
        return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith(names))

    def slow_readers(self, tap):
        """O03: without a budget that bites, and from the first time on: 64 KiB each."""
        before = [self.resident(n) for n in self.hosts]
        after = self.flood(tap, READERS)
        each = [(b - a) * 1024 // READERS[1] for a, b in zip(before, after)]
        tap.ok(max(each) <= 64, "O03: a slow reader takes 64 KiB at most", f"{each} KiB")
        tap.note(f"a slow reader takes {each} KiB, of each process on its way")

    def budgets(self, tap):
        for n, text in ((1, WEB), (2, API)):
            self.hosts[n].config(text)
            r = self.hosts[n].parley("reload", "--wait")
            tap.ok(r.returncode == 0, "and the budget is the group's again", r.stdout + r.stderr)

    def identity(self):
        """The files of the key and of the chain that the flood shows."""
        key = os.path.join(self.folder, "web.pem")
        state = os.path.join(self.hosts[1].root, "var/lib/parley/services")
        with open(key, "w") as f:
            f.write(key_pem(f"{state}/web.key"))
        return key, f"{state}/web.crt"

    def flood(self, tap, row):
        kind, count, target, wants_more, what = row
        before = self.shed(target)
        argv = [sys.executable, "-c", FLOOD, kind, str(count), self.mesh, *self.identity()]
        p = subprocess.Popen(
            self.hosts[1].prefix() + argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        begun = time.monotonic()
        said = p.stdout.readline().split()
        answered = all(h.parley("status").returncode == 0 for h in self.hosts.values())
        resident = self.settled()
        after = self.shed(target)
        p.stdin.close()
        p.wait(timeout=patient(30))
        back = wait_for(self.well, 20)
        killed = [g.kills() for g in self.groups.values()]
        alive = all(h.agent.poll() is None for h in self.hosts.values())
        tap.ok(
            alive and not any(killed) and len(said) == 2,
            f"O09: {count} {what}: nobody is killed",
            f"kills {killed}, {said}\n" + "\n".join(h.log()[-1500:] for h in self.hosts.values()),
        )
        tap.ok(answered and back, "and the operator is answered, others are served behind it")
        if wants_more:
            tap.ok(after > before, "and what was too much was shed", f"{before} to {after}")
        tap.note(
            f"{kind}: {said} held and refused, resident {resident} MiB, shed {after - before}, "
            f"{time.monotonic() - begun:.1f} s"
        )
        return resident


def main():
    if os.geteuid() != 0:
        skip_all("control groups and network namespaces need root")
    if not os.path.exists(binary()):
        skip_all("build/parley does not exist (make all)")
    if "asan" in binary() or "tsan" in binary():
        skip_all("a sanitizer needs more than 64 MiB by itself")
    groups = {}
    try:
        for n in (1, 2):
            groups[n] = MemoryGroup(f"parley-test-{os.getpid()}-{n}", LIMIT)
    except OSError as e:
        for g in groups.values():
            g.remove()
        skip_all(f"no memory control group can be made here: {e}")
    tap = Tap()
    try:
        with Lab(2) as lab:
            site = Site(lab, groups)
            if lab.mesh(tap) and site.start(tap, ROOMY):
                site.slow_readers(tap)
                site.budgets(tap)
                for row in ROWS:
                    site.flood(tap, row)
                most = [g.most() >> 20 for g in groups.values()]
                tap.note(f"the groups had at most {most} MiB, the kernel's part included")
                lab.sound(tap)
    finally:
        for g in groups.values():
            g.remove()
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
