#!/usr/bin/env python3
"""Rotation of the gossip key on a running mesh (N43, gossip.md 3.4): four hosts, traffic all the
while; one host is cut off, then down, from before a rotation until the old key is gone.

Shows: one command; who is missing is said; the old key goes after its hold; who was away comes back
by itself, over streams; every datagram is sealed, with a key of the ring; no request fails and no
host is lost; a stranger and a wrong operator cannot rotate.

Time limit: 900 s
"""

import json
import os
import re
import shutil
import sys
import time

import gossip_wire
from lab import Lab, Tap, binary, skip_all, wait_for
from run_control import datagrams

HOLD_S = 6
LOAD_S = 80


def ring(h):
    """What the host's keyring says: id to row."""
    data = h.ask("keyring", "status") or {"keys": []}
    return {row["id"]: row for row in data["keys"]}


def alive(h):
    return sorted(m["node"] for m in h.ask("members") or [] if m["status"] == "alive")


def said(hosts):
    return "\n".join(f"{h.name}\n{h.parley('keyring', 'status').stdout}" for h in hosts)


class Bench:
    def __init__(self, lab, tap):
        self.lab, self.tap = lab, tap
        self.all = [lab.host[n] for n in sorted(lab.host)]
        self.h1, self.h2, self.h3, self.h4 = self.all
        self.keys = set()

    def traffic(self):
        echo = ["testapp", "echo", "--listen", "127.0.0.1:8081", "--name", "api"]
        for h in (self.h2, self.h3):
            h.spawn(binary(), *echo, log=f"echo-{h.name}.log")
            h.config('[service.api]\nlocal = "127.0.0.1:8081"\nallow = ["web"]\n' + GOSSIP)
        self.h1.config(
            '[service.web]\nlocal = "127.0.0.1:8080"\nhealth = "none"\n'
            '[upstream.api]\nlisten = "127.0.0.1:9001"\n' + GOSSIP
        )
        for h in (self.h2, self.h3, self.h1):
            h.parley("reload", "--wait")
        get = lambda: self.h1.run("curl", "-s", "-m", "5", "http://127.0.0.1:9001/")
        good = wait_for(lambda: '"served_by":"api"' in get().stdout, 15)
        self.load = self.h1.spawn(
            *[binary(), "testapp", "load", "--url", "http://127.0.0.1:9001/"],
            *["--rate", "40", "--for", f"{LOAD_S}s"],
            log="load.log",
        )
        return self.tap.ok(good, "requests cross the mesh", get().stderr)

    def watch(self):
        self.pcap = os.path.join(self.lab.folder, "gossip.pcap")
        argv = ["tcpdump", "-i", "eth0", "--immediate-mode", "-U", "-w", self.pcap, "udp port 7400"]
        self.dump = self.h2.spawn(*argv, log="tcpdump.log")
        self.keys.update(ring(self.h1))

    def rotate(self, name, present):
        """The new key's id, when all of `present` seal with it and have dropped the old one."""
        r = self.h1.parley("keyring", "rotate", "-m", name, "--json")
        new = json.loads(r.stdout)["data"]["key"] if r.returncode == 0 else ""
        self.keys.add(new)
        if not self.tap.ok(len(new) == 8, f"{name}: one command rotates", r.stderr):
            return new
        held = wait_for(lambda: all(new in ring(h) for h in present), 10)
        self.tap.ok(held, f"{name}: the new key is on {len(present)} hosts", said(present))
        seals = lambda h: ring(h).get(new, {}).get("phase") == "seals"
        self.tap.ok(
            wait_for(lambda: all(seals(h) for h in present), 25),
            f"{name}: and seals on them",
            said(present),
        )
        alone = lambda h: list(ring(h)) == [new]
        self.tap.ok(
            wait_for(lambda: all(alone(h) for h in present), HOLD_S + 15),
            f"{name}: the old key is gone after its hold",
            said(present),
        )
        return new

    def is_back(self, name, new):
        names = [h.name for h in self.all]
        back = wait_for(lambda: list(ring(self.h4)) == [new], 40)
        self.tap.ok(
            back, f"{name}: h4 has the new key alone", said(self.all) + self.h4.log()[-2000:]
        )
        whole = wait_for(lambda: all(alive(h) == names for h in self.all), 20)
        self.tap.ok(whole, f"{name}: all see all alive", "\n".join(str(alive(h)) for h in self.all))
        stored = gossip_wire.group_keys(self.h4.root)
        self.tap.ok(len(stored) == 1, f"{name}: and its disk holds one key", str(len(stored)))


GOSSIP = f'[gossip]\nkey_hold = "{HOLD_S}s"\n'


def cut_off(b):
    """Cut off from before the rotation until after the old key is gone."""
    b.h4.run("ip", "link", "set", "eth0", "down")
    gone = wait_for(lambda: "h4" not in alive(b.h1), 15)
    b.tap.ok(gone, "h4 is cut off", str(alive(b.h1)))
    old = list(ring(b.h4))
    new = b.rotate("with a host cut off", [b.h1, b.h2, b.h3])
    b.tap.ok(list(ring(b.h4)) == old, "h4 knows nothing of it", said([b.h4]))
    b.h4.run("ip", "link", "set", "eth0", "up")
    b.is_back("healed", new)


def down(b):
    """kill -9 before the rotation, started when it is over."""
    b.h4.kill()
    gone = wait_for(lambda: "h4" not in alive(b.h1), 15)
    b.tap.ok(gone, "h4 is down", str(alive(b.h1)))
    new = b.rotate("with a host down", [b.h1, b.h2, b.h3])
    b.tap.ok(b.h4.up(), "h4 starts with the old key", b.h4.log()[-2000:])
    b.is_back("started", new)


def missing(b):
    """Who lacks the key is named, and nobody seals with it meanwhile."""
    b.h4.kill(19)  # SIGSTOP: it is there, and does nothing
    r = b.h1.parley("keyring", "rotate", "--json")
    new = json.loads(r.stdout)["data"]["key"] if r.returncode == 0 else ""
    b.keys.add(new)
    row = wait_for(lambda: "h4" in ring(b.h1).get(new, {}).get("missing", []), 3, 0.02)
    b.tap.ok(row, "the host that lacks the new key is named", said([b.h1]))
    again = b.h1.parley("keyring", "rotate")
    b.tap.ok(
        again.returncode != 0 and "under way" in again.stderr,
        "a second rotation waits for the first",
        again.stdout + again.stderr,
    )
    b.h4.kill(18)  # SIGCONT
    return new


def refusals(b):
    before = list(ring(b.h1))
    other = os.path.join(b.lab.folder, "other.key")
    b.h2.parley("operator", "key", other)
    r = b.h2.parley("keyring", "rotate", "--key", other)
    b.tap.ok(r.returncode != 0, "a key that is no operator's cannot rotate", r.stdout)
    r = b.h2.run(
        "setpriv",
        "--reuid=65534",
        "--clear-groups",
        binary(),
        "keyring",
        "rotate",
        "--root",
        b.h2.root,
    )
    b.tap.ok(r.returncode != 0, "nor can a user who is no admin", r.stdout)
    b.tap.ok(list(ring(b.h1)) == before == list(ring(b.h2)), "and nothing has changed", said(b.all))


def every_datagram_is_sealed(b):
    b.dump.terminate()
    b.dump.wait()
    seen, bad = set(), 0
    for source in b.all:
        for target in b.all:
            for data in datagrams(b.pcap, source.addr, target.addr):
                seen.add(data[1:5].hex())
                bad += data[0] != 1 or data[1:5].hex() not in b.keys or len(data) < 41
    b.tap.ok(
        not bad and len(seen) >= 3,
        f"every datagram is sealed, with one of {len(seen)} keys",
        f"{bad} bad, keys {seen} of {b.keys}",
    )


def no_request_failed(b):
    b.load.wait(timeout=LOAD_S + 20)
    with open(os.path.join(b.lab.folder, "load.log")) as f:
        text = f.read()
    b.tap.note(text.strip().splitlines()[-1] if text.strip() else "no output")
    done = re.search(r"requests +(\d+) +ok +(\d+) +failed +(\d+)", text)
    b.tap.ok(
        done and int(done.group(1)) > 1000 and int(done.group(3)) == 0,
        "no request failed",
        text[-2000:],
    )


def main():
    if os.geteuid() != 0:
        skip_all("network namespaces need root")
    for tool in ("ip", "curl", "tcpdump"):
        if not shutil.which(tool):
            skip_all(f"{tool} is not installed (make deps)")
    if not os.path.exists(binary()):
        skip_all("build/parley does not exist (make all)")
    tap = Tap()
    with Lab(4) as lab:
        for h in lab.host.values():
            h.config(GOSSIP)
        b = Bench(lab, tap)
        if lab.mesh(tap) and b.traffic():
            began = time.monotonic()
            b.watch()
            refusals(b)
            cut_off(b)
            down(b)
            b.is_back("stopped for a while", missing(b))
            tap.note(f"{time.monotonic() - began:.0f} s")
            every_datagram_is_sealed(b)
            no_request_failed(b)
            lab.sound(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
