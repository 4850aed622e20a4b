#!/usr/bin/env python3
"""The life of a membership: five hosts in five network namespaces, and what happens to machines.

Being in sync, ping and netcheck; UDP or TCP blocked, one way and between a pair (N15, N16, N18);
stopped processes (N02); a partition that heals (N13); an address that changes and two that are
swapped (N23, S20); an identity started twice, rolled back or lost (N08, N10, N11); a name that is
taken; a whole mesh that starts cold without its seed (N12).

Time limit: 240 s

"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

from lab import Host, Lab, Tap, run, skip_all, wait_for

PORT = 7400


def rules(host, *lines):
    """What this host's firewall drops from now on; nothing without lines."""
    text = "flush ruleset\n"
    if lines:
        text += "table inet t { chain i { type filter hook input priority 0; "
        text += " ".join(line + " drop;" for line in lines) + " }; }\n"
    r = host.run("nft", "-f", "-", input=text)
    assert r.returncode == 0, r.stderr


def members(host):
    return {m["node"]: m for m in host.ask("members") or []}


def states(host):
    return {name: m["status"] for name, m in members(host).items()}


def all_alive(hosts, names=None):
    names = names or [h.name for h in hosts]
    for h in hosts:
        known = states(h)
        if any(known.get(name) != "alive" for name in names):
            return False
    return True


def report(hosts):
    return "\n".join(h.parley("members").stdout + h.log()[-1500:] for h in hosts)


def watch(hosts, seconds, good):
    """What `good` objects to on the way, polled; None: nothing."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        wrong = good()
        if wrong:
            return wrong
        time.sleep(0.3)
    return None


def stays_alive(hosts):
    def good():
        for h in hosts:
            for name, status in states(h).items():
                if status in ("unreachable", "dead"):
                    return f"{h.name} has {name} {status}"
        return None

    return good


def test_sync(lab, tap):
    hosts = list(lab.host.values())
    tap.ok(
        wait_for(lambda: all((h.ask("status") or {}).get("synced") for h in hosts), 10),
        "every host is in sync, and status says so",
        report(hosts),
    )
    ready = hosts[1].ask("ready") or {}
    tap.ok(ready.get("ready") and ready.get("synced"), "ready --json says so too", ready)


def test_ping(lab, tap):
    h1 = lab.host[1]
    r = h1.parley("ping", "h2", "-c", "3", "--json")
    data = json.loads(r.stdout or "{}").get("data", {})
    ways = [data.get(way, {}) for way in ("udp", "tcp")]
    good = all(w.get("received") == 3 and 0 < w.get("avg_us", 0) < 100000 for w in ways)
    tap.ok(r.returncode == 0 and good, "ping measures a member by UDP and by TCP", r.stdout)
    tap.ok(abs(data.get("skew_ms", 1e9)) < 1000, "and its clock", r.stdout)
    r = h1.parley("ping", "h22")
    tap.ok(
        r.returncode == 2 and 'did you mean "h2"' in r.stderr,
        "an unknown name exits 2 and says the nearest",
        f"{r.returncode} {r.stderr}",
    )
    r = h1.parley("ping", "h1")
    tap.ok(r.returncode == 2 and "itself" in r.stderr, "this node itself is no peer", r.stderr)


def test_netcheck(lab, tap):
    r = lab.host[1].parley("netcheck")
    tap.ok(
        r.returncode == 0 and r.stdout.count("1400") == 4,
        "netcheck finds nothing where all is well, and the longest datagram",
        r.stdout + r.stderr,
    )


def finding(host, of, id):
    r = host.parley("netcheck", of, "--json")
    rows = json.loads(r.stdout or "{}").get("data", [])
    found = [f["id"] for row in rows for f in row["findings"]]
    return r.returncode == 10 and id in found, r.stdout + r.stderr


def test_blocked(lab, tap):
    hosts = list(lab.host.values())
    h1, h2 = lab.host[1], lab.host[2]
    rules(h2, f"udp dport {PORT}")
    wrong = watch(hosts, 12, stays_alive(hosts))
    tap.ok(not wrong, "N18: with UDP blocked, streams keep a host alive", wrong)
    tap.ok(*reorder(finding(h1, "h2", "P062"), "netcheck names the cause"))
    r = h1.parley("ping", "h2", "-c", "1")
    tap.ok(r.returncode == 10 and "udp  no answer" in r.stdout, "ping exits 10", r.stdout)
    said = wait_for(lambda: "UDP" in h1.parley("check").stdout, 8)
    tap.ok(said, "check names it, unasked", h1.parley("check").stdout)
    rules(h2, f"tcp dport {PORT}")
    wrong = watch(hosts, 5, stays_alive(hosts))
    tap.ok(not wrong, "with TCP blocked, datagrams keep it alive", wrong)
    tap.ok(*reorder(finding(h1, "h2", "P063"), "and netcheck names that"))
    rules(h2)


def reorder(pair, name):
    return pair[0], name, pair[1]


def test_one_way(lab, tap):
    hosts = list(lab.host.values())
    rules(lab.host[3], "ip saddr 10.77.0.2")
    wrong = watch(hosts, 10, stays_alive(hosts))
    tap.ok(not wrong, "N15: what only one way is lost, makes nobody dead", wrong)
    rules(lab.host[2], "ip saddr 10.77.0.3")
    wrong = watch(hosts, 10, stays_alive(hosts))
    tap.ok(not wrong, "N16: two that cannot reach each other stay members", wrong)
    rules(lab.host[2])
    rules(lab.host[3])


def main():
    if os.geteuid() != 0:
        skip_all("needs root for network namespaces")
    for tool in ("ip", "nft"):
        if not shutil.which(tool):
            skip_all(f"needs {tool}")
    tap = Tap()
    with Lab(5) as lab:
        if lab.mesh(tap):
            for test in TESTS:
                if len(sys.argv) < 2 or test.__name__ in sys.argv[1:]:
                    began = time.monotonic()
                    test(lab, tap)
                    tap.note(f"{test.__name__}: {time.monotonic() - began:.1f} s")
    return tap.done()


TESTS = [test_sync, test_ping, test_netcheck, test_blocked, test_one_way]

if __name__ == "__main__":
    sys.exit(main())
