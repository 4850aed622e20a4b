#!/usr/bin/env python3
"""The rows of the threat tables against a mesh of two nodes on loopback addresses, no root needed.

Node 1 calls `api` and `only` on node 2, and `near` on itself, which takes the path inside the
process; every case for `api` runs against both. Where HAProxy is installed its score on the same
rows, with the same rules, stands beside ours, for information.

Time limit: 600 s
"""

import sys

import haproxy
import rows
from lab import wait_for
from loopback import Node, boot, main

APP = ("127.0.77.2", 8081)
NEAR_APP = ("127.0.77.1", 8081)
LISTEN = {
    "api": ("127.0.77.1", 9001),
    "only": ("127.0.77.1", 9002),
    "near": ("127.0.77.1", 9003),
}
RULES = """
[[service.{name}.rule]]
name = "all"
from = ["web"]
[[service.{name}.rule]]
name = "no-admin"
action = "deny"
path = ["/admin"]
"""
NODE_1 = """
[service.web]
local = "127.0.77.1:8080"
health = "none"
[service.near]
local = "127.0.77.1:8081"
health = "none"
{near}
[upstream.api]
listen = "127.0.77.1:9001"
as = "web"
[upstream.only]
listen = "127.0.77.1:9002"
as = "web"
[upstream.near]
listen = "127.0.77.1:9003"
as = "web"
"""
NODE_2 = """
[service.api]
local = "127.0.77.2:8081"
health = "none"
{api}
[service.only]
local = "127.0.77.2:8081"
health = "none"
[[service.only.rule]]
name = "get"
from = ["web"]
method = ["GET"]
"""


HAPROXY = {"api": ("127.0.77.1", 9201), "only": ("127.0.77.1", 9202)}
HAPROXY_CONFIG = """
frontend api
    bind 127.0.77.1:9201
    http-request deny if { path /admin }
    default_backend app
frontend only
    bind 127.0.77.1:9202
    http-request deny unless { method GET }
    default_backend app
backend app
    server app 127.0.77.2:8081
"""


def haproxy_results(app):
    """It answers at once or not at all."""
    for case in rows.table():
        if case.service in HAPROXY:
            yield f"{case.id} {case.what}", case.run(HAPROXY[case.service], app, 0.7)


def run_table(tap, nodes, apps):
    number = 0
    for case in rows.table():
        both = case.service == "api" and case.near
        for service in ["api", "near"] if both else [case.service]:
            number += 1
            app = apps["near" if service == "near" else "api"]
            complaint = case.run(LISTEN[service], app)
            complaint = complaint or rows.marker(
                LISTEN["near" if service == "near" else "api"], app, number
            )
            dead = [n.name for n in nodes if not n.alive()]
            if dead:
                complaint = f"{dead} died"
            where = "in the process" if service == "near" else "over a link"
            tap.ok(not complaint, f"{case.id} {case.what}, {where}", complaint)
            if dead:
                for n in nodes:
                    tap.note(n.said()[-2000:])
                return


def run_all(tap, folder):
    one, two = Node(folder, 1), Node(folder, 2)
    apps = {"api": rows.App(*APP), "near": rows.App(*NEAR_APP)}
    try:
        near, api = RULES.format(name="near"), RULES.format(name="api")
        if not boot(tap, one, two, NODE_1.format(near=near), NODE_2.format(api=api)):
            return
        clean = wait_for(
            lambda: not rows.marker(LISTEN["api"], apps["api"], 0)
            and not rows.marker(LISTEN["near"], apps["near"], 0),
            10,
        )
        if not tap.ok(clean, "a clean request passes", one.said() + two.said()):
            return
        run_table(tap, [one, two], apps)
        complaint = rows.plaintext_to_mesh((one.addr, 7400))
        tap.ok(not complaint, "G17 plaintext to the mesh port", complaint)
        complaint = rows.tls_to_plain(LISTEN["api"])
        tap.ok(not complaint, "G17 TLS to a plaintext listener", complaint)
        haproxy.score(
            tap,
            folder,
            HAPROXY_CONFIG,
            lambda: not rows.marker(HAPROXY["api"], apps["api"], 0),
            lambda: haproxy_results(apps["api"]),
        )
        raw = [c for n in (one, two) for c in n.said() if ord(c) < 32 and c not in "\n\t"]
        tap.ok(not raw, "no log line holds raw control bytes", repr(raw[:20]))
    finally:
        for n in (one, two):
            n.stop()
        for app in apps.values():
            app.close()


if __name__ == "__main__":
    sys.exit(main(run_all, "parley-rows-"))
