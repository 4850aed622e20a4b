#!/usr/bin/env python3
"""What a person or a stranger gets wrong, against a small mesh on loopback: each is refused with
its own words and exit code, nothing is half done, and the next good thing works.

Time limit: 300 s
"""

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from lab import Tap, binary, patient, run, skip_all, wait_for

ADDR = {1: "127.0.0.41", 2: "127.0.0.42", 3: "127.0.0.43", 4: "127.0.0.44"}


class Node:
    def __init__(self, folder, number):
        self.number = number
        self.root = os.path.join(folder, f"r{number}")
        self.log = os.path.join(folder, f"r{number}.log")
        self.process = None
        os.makedirs(self.root, exist_ok=True)

    def parley(self, *argv, **kw):
        return run([binary(), *argv, "--root", self.root], **kw)

    def up(self, *argv):
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(
                [binary(), "up", "--root", self.root, *argv], stdout=out, stderr=out
            )
        return wait_for(lambda: self.parley("ready", "-q").returncode == 0, 10)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def path(self, *parts):
        return os.path.join(self.root, *parts)

    def write(self, text, name="etc/parley/conf.d/test.toml"):
        with open(self.path(name), "w") as f:
            f.write(text)

    def said(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def metric(self, start):
        """The sum of all samples of /metrics whose line begins with `start`."""
        c = http.client.HTTPConnection("localhost", timeout=5)
        c.sock = socket.socket(socket.AF_UNIX)
        c.sock.connect(self.path("run/parley/parley.sock"))
        c.request("GET", "/metrics")
        text = c.getresponse().read().decode()
        c.close()
        return sum(float(x.split()[-1]) for x in text.splitlines() if x.startswith(start))


def refused(tap, r, code, words, name):
    text = r.stdout + r.stderr
    tap.ok(r.returncode == code and words in text, name, f"exit {r.returncode}: {text}")


def offline(tap, folder):
    r = run([binary(), "membres"])
    refused(
        tap, r, 2, 'did you mean "members"?', "an unknown verb is answered with the nearest one"
    )
    n = Node(folder, 9)
    refused(
        tap, n.parley("status"), 4, "no agent at", "without an agent: exit 4 and how to start it"
    )
    refused(
        tap, n.parley("init"), 2, "--mesh NAME", "init without a mesh name says what is missing"
    )
    r = n.parley("init", "--mesh", "Shop!", "--addr", "127.0.0.49")
    refused(tap, r, 2, "is not a mesh name", "init with a bad mesh name")
    r = n.parley("init", "--mesh", "shop", "--addr", "0.0.0.0")
    refused(tap, r, 2, "peers can dial", "init with an address nobody can dial")
    tap.ok(not os.listdir(n.root), "nothing was written by what was refused", os.listdir(n.root))


def tokens(tap, nodes):
    one, two, three = nodes[1], nodes[2], nodes[3]
    join = lambda n, t: n.parley(
        "join", t, "--node", f"n{n.number}", "--addr", ADDR[n.number], "--timeout", "5s"
    )
    token = one.parley("token", "create", "-q").stdout.strip()
    refused(tap, join(two, token[:40]), 2, "cut short", "a cut token is called cut")
    bad = token[:30] + ("7" if token[30] != "7" else "3") + token[31:]
    refused(tap, join(two, bad), 2, "checksum", "a changed token fails its checksum")
    refused(tap, join(two, "hello"), 2, "not a join token", "nonsense is no token")
    r = one.parley("token", "create", "--node", "db-*", "-q")
    refused(tap, join(two, r.stdout.strip()), 1, "name_not_allowed", "a token for other names")
    tap.ok(
        not os.path.exists(two.path("var/lib/parley/node.key")), "refused joins leave no identity"
    )
    r = join(two, token)
    tap.ok(r.returncode == 0, "the untouched token still works", r.stdout + r.stderr)
    refused(tap, join(three, token), 1, "token_unknown", "a used token is refused")
    refused(tap, join(two, token), 1, "already has an identity", "join over an identity")
    r = one.parley("init", "--mesh", "shop", "--addr", ADDR[1])
    refused(tap, r, 1, "already has an identity", "init over an identity")
    tap.ok(two.up(), "the second node is up", two.said())
    token = one.parley("token", "create", "-q").stdout.strip()
    r = three.parley("join", token, "--node", "n2", "--addr", ADDR[3], "--timeout", "5s")
    refused(tap, r, 1, "name_taken", "a second node with a live member's name")
    r = one.parley("token", "create", "--json")
    listed = one.parley("token", "list").stdout.split()
    ident = next((w for w in listed if w.startswith("tk_")), "tk_none")
    r = one.parley("token", "revoke", ident)
    tap.ok(
        r.returncode == 0 and ident not in one.parley("token", "list").stdout, "a token is revoked"
    )
    refused(tap, two.parley("token", "create"), 10, "CA key", "a host without the CA key says so")
    refused(tap, one.parley("token", "create", "--ttl", "30d"), 2, "7 days", "too long a life")


def other_mesh(tap, nodes):
    """A token of one mesh against a seed of another: the pin refuses it."""
    one, four = nodes[1], nodes[4]
    r = four.parley("init", "--mesh", "other", "--node", "n4", "--addr", ADDR[4])
    tap.ok(r.returncode == 0 and four.up(), "a node of another mesh runs", r.stdout + four.said())
    four.write(
        f'[node]\nname = "n4"\nmesh = "other"\naddr = "{ADDR[4]}"\npeers = ["{ADDR[1]}"]\n',
        "etc/parley/parley.toml",
    )
    four.parley("reload")
    time.sleep(1.5)
    rows = one.parley("members").stdout
    tap.ok(
        "n4" not in rows and "n1" not in four.parley("members").stdout,
        "a peer of another mesh is not let in",
        rows,
    )


def files(tap, nodes):
    one = nodes[1]
    one.write(
        '[service.web]\nlocal = "127.0.0.1:8080"\n[upstream.web]\nlisten = "127.0.0.41:9401"\n'
        "retires = { tries = 2 }\n"
    )
    r = one.parley("config", "check")
    refused(
        tap,
        r,
        3,
        'unknown key "retires" in [upstream.web]; did you mean "retry"?',
        "config check names the key, the place and the mend",
    )
    tap.ok(
        "test.toml:5:1: error:" in r.stderr and "^~~~" in r.stderr,
        "with file:line:col and caret",
        r.stderr,
    )
    refused(tap, one.parley("reload"), 3, "unchanged", "reload of a bad file changes nothing")
    tap.ok(one.parley("ready").returncode == 0, "and the old configuration runs on")
    r = one.parley("check")
    tap.ok(r.returncode == 10 and "P012" in r.stdout, "check reports the refused file", r.stdout)
    taken = socket.create_server((ADDR[1], 9402))
    one.write(
        '[service.web]\nlocal = "127.0.0.1:8080"\n[upstream.web]\nlisten = "127.0.0.41:9402"\n'
    )
    refused(tap, one.parley("reload"), 3, "9402", "a taken port refuses the reload and is named")
    taken.close()
    r = one.parley("reload", "--wait")
    tap.ok(r.returncode == 0, "once it is free the same file is taken", r.stdout + r.stderr)
    second = Node(os.path.dirname(one.root), 1)
    r = second.parley("up", timeout=10)
    refused(tap, r, 1, "another parley", "a second agent on the same root is refused")


def strangers(tap, nodes):
    """Bytes from nobody on the mesh port; the counters move and the node serves on."""
    one = nodes[1]
    before = one.metric('parley_gossip_events_total{event="dropped')
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for size in (0, 1, 40, 41, 600, 1400, 60000):
        s.sendto(os.urandom(size), (ADDR[1], 7400))
    s.close()
    moved = wait_for(
        lambda: one.metric('parley_gossip_events_total{event="dropped') >= before + 6, 3
    )
    tap.ok(moved, "garbage datagrams are dropped and counted")
    start = time.monotonic()
    c = socket.create_connection((ADDR[1], 7400), timeout=30)
    c.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    answer = b""
    try:
        answer = c.recv(1000)
    except ConnectionResetError:
        pass
    took = time.monotonic() - start
    c.close()
    tap.ok(
        answer == b"" and took <= patient(1),
        f"plaintext on 7400 is closed without a word ({took:.2f} s)",
        answer,
    )
    tap.ok(wait_for(lambda: one.metric("parley_plaintext_on_mesh_total") >= 1, 3), "and counted")
    c = socket.create_connection((ADDR[1], 9402), timeout=5)
    try:
        c.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX-Big: " + b"a" * (1 << 20) + b"\r\n\r\n")
    except (BrokenPipeError, ConnectionResetError):
        pass
    try:
        head = c.recv(4096)
    except ConnectionResetError:
        head = b"HTTP/1.1 431 (reset before it was read)"
    c.close()
    tap.ok(b" 431 " in head, "a header of 1 MiB is answered 431", head[:200])
    h = http.client.HTTPConnection(ADDR[1], 9402, timeout=5)
    h.request("GET", "/")
    r = h.getresponse()
    tap.ok(
        r.status == 403 and r.getheader("parley-reason") == "denied_default",
        "the next clean request is judged as ever",
        f"{r.status} {r.getheaders()}",
    )
    h.close()


def main():
    if not os.path.exists(binary()):
        skip_all("build/parley does not exist (make all)")
    tap = Tap()
    folder = tempfile.mkdtemp(prefix="parley-refusals-")
    nodes = {n: Node(folder, n) for n in ADDR}
    try:
        offline(tap, folder)
        r = nodes[1].parley("init", "--mesh", "shop", "--node", "n1", "--addr", ADDR[1])
        if tap.ok(
            r.returncode == 0 and nodes[1].up(), "the first node is up", r.stderr + nodes[1].said()
        ):
            tokens(tap, nodes)
            other_mesh(tap, nodes)
            files(tap, nodes)
            strangers(tap, nodes)
            for n in (1, 2, 4):
                nodes[n].stop()
                tap.ok(
                    nodes[n].process.returncode == 0,
                    f"node {n} ends with status 0",
                    nodes[n].said()[-2000:],
                )
                tap.ok(
                    "check failed" not in nodes[n].said() and "Sanitizer" not in nodes[n].said(),
                    f"node {n} met no failed check",
                    nodes[n].said()[-2000:],
                )
    finally:
        for n in nodes.values():
            n.stop()
        shutil.rmtree(folder, ignore_errors=True)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
