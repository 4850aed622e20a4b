#!/usr/bin/env python3
"""HAProxy on the rows of the overload table that are asked of us: O01, O02, O04 to O07 by the
clients and requirements of run_overload.py, O03 and O09 by those of run_memory.py, O10 by what
test_retry_storm.c asks in virtual time. For information. Its configuration has what its manual
offers for each row. Needs root, three minutes. Rows may be named (O03 O10). Always exit 0.
"""

import csv
import json
import os
import shutil
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../integration"))
import run_memory as memory
import run_overload as rows
from inside import Net, get, read_all
from lab import Lab, binary, patient, wait_for
from memory_group import MemoryGroup

DEFAULTS = """defaults
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 30s
"""
CONFIG = """
global
    maxconn 8000
    stats socket {folder}/haproxy.sock level admin
{defaults}    timeout http-keep-alive 60s
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
# Inside 64 MiB. Its manual has no budget of memory: what bounds it is a count of connections, and
# one above that is rejected before any TLS.
SMALL = """
global
    maxconn 8000
    nbthread 2
    stats socket {folder}/haproxy.sock level admin
    tune.ssl.cachesize 1000
    ssl-default-bind-options ssl-min-ver TLSv1.2
{defaults}    timeout http-request 10s
frontend api
    bind 127.0.0.1:9001
    tcp-request connection reject if {{ fe_conn gt 1200 }}
    default_backend app
frontend mesh
    bind :7400 ssl crt {folder}/both.pem alpn h2 backlog 8192
    tcp-request connection reject if {{ fe_conn gt 400 }}
    default_backend app
backend app
    server app 127.0.0.1:8081
"""
# Three hops to three leaves. It has no budget of retries: what ends a storm is that a server whose
# answers are errors is marked down.
CHAIN = """
global
    maxconn 4000
    stats socket {folder}/haproxy.sock level admin
{defaults}    retries 1
    retry-on 503 conn-failure empty-response
    option redispatch
    default-server check inter 10s observe layer7 error-limit 5 on-error mark-down
frontend first
    bind 127.0.0.1:9001
    default_backend to_second
frontend second
    bind 127.0.0.1:9002
    default_backend to_third
frontend third
    bind 127.0.0.1:9003
    default_backend leaf
backend to_second
    server a 127.0.0.1:9002
backend to_third
    server a 127.0.0.1:9003
backend leaf
    server a 127.0.0.1:8091
    server b 127.0.0.1:8092
    server c 127.0.0.1:8093
"""
# Answers 503 always; what it got is told to who asks on the last port.
LEAF = """
import asyncio
class Leaf:
    got = 0
async def serve(reader, writer):
    try:
        while await reader.readuntil(b"\\r\\n\\r\\n"):
            Leaf.got += 1
            writer.write(b"HTTP/1.1 503 Service Unavailable\\r\\nContent-Length: 0\\r\\n\\r\\n")
            await writer.drain()
    except (asyncio.IncompleteReadError, OSError):
        pass
    writer.close()
async def tell(reader, writer):
    writer.write(b"%d" % Leaf.got)
    await writer.drain()
    writer.close()
async def main():
    for port in (8091, 8092, 8093):
        await asyncio.start_server(serve, "127.0.0.1", port)
    server = await asyncio.start_server(tell, "127.0.0.1", 8090)
    print("up", flush=True)
    await server.serve_forever()
asyncio.run(main())
"""
# A hundred requests a second for ten seconds, on a connection each.
STORM = """
import collections, json, socket, time
codes, begun = collections.Counter(), time.monotonic()
print("begun", flush=True)
for i in range(1000):
    time.sleep(max(0, begun + i / 100 - time.monotonic()))
    s = socket.create_connection(("127.0.0.1", 9001), timeout=30)
    s.sendall(b"GET / HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n")
    codes[s.recv(4096)[9:12].decode()] += 1
    s.close()
print(json.dumps(codes))
"""


class Checks:
    """A row is as required when all it checks is."""

    def __init__(self):
        self.wrong = []
        self.notes = []

    def ok(self, good, name, detail=""):
        if not good:
            said = str(detail).splitlines()
            self.wrong.append(f"{name}: {said[0][:80]}" if said else name)
        return good

    def note(self, text):
        self.notes.append(text)


def say(lab, command):
    """What it answers its operator; raises OSError."""
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(patient(5))
    s.connect(os.path.join(lab.folder, "haproxy.sock"))
    s.sendall(command.encode() + b"\n")
    data = b""
    while more := s.recv(65536):
        data += more
    s.close()
    return data.decode()


def stat(lab):
    return list(csv.DictReader(say(lab, "show stat").lstrip("# ").splitlines()))


def operator(lab):
    """Whether it answers its operator, as `parley status` would tell."""
    try:
        good = "Uptime" in say(lab, "show info")
    except OSError:
        good = False
    return subprocess.CompletedProcess([], 0 if good else 1, "", "")


def echo(host):
    host.spawn(binary(), "testapp", "echo", "--listen", "127.0.0.1:8081", log="app.log")


def configure(lab, text):
    path = os.path.join(lab.folder, "haproxy.cfg")
    with open(path, "w") as f:
        f.write(text.format(folder=lab.folder, defaults=DEFAULTS))
    return path


class Peer(rows.Site):
    def __init__(self, lab):
        self.lab = lab
        self.h1 = lab.host[1]
        self.net = Net(self.h1, "127.0.0.1")
        self.h1.parley = lambda *_: operator(lab)

    def start(self):
        echo(self.h1)
        argv = ["haproxy", "-db", "-f", configure(self.lab, CONFIG)]
        self.h1.agent = self.h1.spawn(*argv, log="haproxy.log")
        up = wait_for(lambda: operator(self.lab).returncode == 0, 5)
        return up and wait_for(self.well, 5)

    def metrics(self):
        return get(self.net.tcp(9009), "/metrics")


class Confined(memory.Site):
    """It alone is on the way, so it is the first host and what the mesh would be."""

    def __init__(self, lab, group):
        self.lab = lab
        self.hosts = {1: lab.host[1]}
        self.groups = {1: group}
        self.mesh = lab.host[1].addr
        self.folder = lab.folder
        self.net = Net(lab.host[1], "127.0.0.1")
        self.hosts[1].parley = lambda *_: operator(lab)

    def start(self, checks):
        echo(self.hosts[1])
        key, chain = self.identity()
        make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt"]
        make += ["ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=api.lab"]
        subprocess.run([*make, "-keyout", key, "-out", chain], check=True, capture_output=True)
        with open(os.path.join(self.folder, "both.pem"), "w") as out:
            for path in (chain, key):
                with open(path) as f:
                    out.write(f.read())
        agent = ["haproxy", "-db", "-f", configure(self.lab, SMALL)]
        return self.enter(checks, 1, agent) and wait_for(self.well, 10)

    def identity(self):
        return os.path.join(self.folder, "web.key"), os.path.join(self.folder, "web.crt")

    def shed(self, _):
        """The connections that it rejected."""
        return sum(int(row["dcon"] or 0) for row in stat(self.lab))


def slow_readers(lab, checks):
    with_group(lab, checks, lambda site: site.slow_readers(checks))


def floods(lab, checks):
    """Links without use are left out: those are our own protocol's."""

    def all_of_them(site):
        for row in memory.ROWS:
            if row[0] != "links":
                kind, count, _, wants_more, what = row
                site.flood(checks, (kind, count, 1, wants_more, what))
        checks.note(f"the group had at most {site.groups[1].most() >> 20} MiB")

    with_group(lab, checks, all_of_them)


def with_group(lab, checks, row):
    group = MemoryGroup(f"parley-peer-{os.getpid()}", memory.LIMIT)
    try:
        site = Confined(lab, group)
        if site.start(checks):
            row(site)
    finally:
        # A group is removed only when nobody is in it.
        agent = lab.host[1].agent
        if agent and agent.poll() is None:
            lab.host[1].kill()
        group.remove()


def storm(lab, checks):
    """O10, by the clock on the wall, and with the hop that opens first, as the others then need
    not."""
    h = lab.host[1]
    h.spawn(sys.executable, "-c", LEAF, log="leaf.log")
    leaf = Net(h, "127.0.0.1")
    leaf_up = wait_for(lambda: os.path.getsize(os.path.join(lab.folder, "leaf.log")), 10)
    h.agent = h.spawn("haproxy", "-db", "-f", configure(lab, CHAIN), log="haproxy.log")
    up = wait_for(lambda: operator(lab).returncode == 0, 5)
    if not checks.ok(leaf_up and up, "it comes up"):
        return
    p = subprocess.Popen(
        h.prefix() + [sys.executable, "-c", STORM], stdout=subprocess.PIPE, text=True
    )
    p.stdout.readline()
    begun = time.monotonic()
    after = wait_for(lambda: opened(lab) and time.monotonic() - begun, 2, step=0.02)
    answers = json.loads(p.communicate(timeout=patient(15))[0])
    more = int(read_all(leaf.tcp(8090)))
    checks.ok(more <= 1200, "1000 requests are 1200 at the leaf at most", more)
    checks.ok(after and after <= 1, "the circuit is open within 1 s", f"{after} s")
    checks.note(f"1000 requests were {more} at the leaf, open after {after or 0:.2f} s, {answers}")


def opened(lab):
    """Whether a hop has marked half of those it calls down: behind it nothing storms."""
    states = {}
    for row in stat(lab):
        if row["svname"] not in ("FRONTEND", "BACKEND"):
            states.setdefault(row["pxname"], []).append(row["status"] == "DOWN")
    return any(2 * sum(down) >= len(down) for down in states.values())


def alone(row):
    """A row of run_overload.py."""

    def ask(lab, checks):
        site = Peer(lab)
        if checks.ok(site.start(), "it comes up"):
            row(site, checks)

    return ask


ROWS = (
    ("O01, slow heads", alone(rows.slow_heads)),
    ("O02, slow bodies", alone(rows.slow_bodies)),
    ("O03, slow readers", slow_readers),
    ("O04, descriptors", alone(rows.descriptors_gone)),
    ("O05, resets", alone(rows.resets)),
    ("O06, pipeline", alone(rows.pipeline)),
    ("O07, labels", alone(rows.labels)),
    ("O09, memory", floods),
    ("O10, retry storm", storm),
)


def asked(row):
    """What was not as required, and the figures; each row has an instance of its own."""
    checks = Checks()
    with Lab(1) as lab:
        try:
            row(lab, checks)
        except (OSError, ValueError, TypeError, subprocess.SubprocessError) as e:
            checks.wrong.append(f"{type(e).__name__}: {e}"[:120])
    return checks


def main():
    if os.geteuid() != 0 or shutil.which("haproxy") is None or not os.path.exists(binary()):
        print("# SKIP needs root, haproxy and build/parley")
        return 0
    right = 0
    only = sys.argv[1:]
    chosen = [row for row in ROWS if not only or row[0][:3] in only]
    for name, row in chosen:
        checks = asked(row)
        right += not checks.wrong
        said = "; ".join(checks.wrong) if checks.wrong else "as required"
        print(f"HAProxy, {name}: {said}", flush=True)
        for note in checks.notes:
            print(f"#   {note}", flush=True)
    print(
        f"HAProxy: {right} of {len(chosen)} rows as required; ours: run_overload.py, "
        "run_memory.py, test_retry_storm"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
