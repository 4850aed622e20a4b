#!/usr/bin/python3
"""Everything is restarted under load and no request notices: the applications one after the other,
then every parley, the caller's own too, whose listeners wait with the service manager meanwhile.

Time limit: 180 s

The client repeats nothing: an answer that is missing, cut or another's is a failure. Each POST must
have reached exactly one application exactly once. Beside the callers of HTTP/1.1, two of whom ask
for answers that take three seconds, there are some of HTTP/2 (rolling_h2.py). `--rate 2000
--seconds 120` is the long version.
"""

import argparse
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time

from lab import HERE, Lab, Tap, binary, skip_all, wait_for
from manager import Manager

APP = r"""
import asyncio, os, signal, sys, time
name, posts = sys.argv[1], open(sys.argv[2], "a", buffering=1)
busy, leaving, last = 0, False, time.monotonic()

async def serve(reader, writer):
    global busy, last
    mine = 0
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            busy += 1
            mine = 1
            line = head.split(b"\r\n", 1)[0].decode()
            method, target, _ = line.split(" ")
            length = 0
            for field in head.lower().split(b"\r\n"):
                if field.startswith(b"content-length:"):
                    length = int(field.split(b":")[1])
            body = await reader.readexactly(length)
            health = target == "/healthz"
            if not health:
                last = time.monotonic()
                await asyncio.sleep(0.002)
            if method == "POST":
                posts.write(body.decode() + "\n")
            status = "503 Leaving" if health and leaving else "200 OK"
            text = f"{target} {name}".encode()
            pieces = 30 if target.startswith("/long/") else 0
            size = len(text) + 100 * pieces
            head = f"HTTP/1.1 {status}\r\ncontent-length: {size}\r\n\r\n"
            writer.write(head.encode() + text)
            for _ in range(pieces):
                await asyncio.sleep(0.1)
                writer.write(b"." * 100)
            await writer.drain()
            busy -= 1
            mine = 0
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        busy -= mine
        writer.close()

async def main():
    global leaving, last
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = await asyncio.start_server(serve, "127.0.0.1", 8081, backlog=1024)
    await stop.wait()
    leaving, last = True, time.monotonic()
    while busy > 0 or time.monotonic() - last < 1.0:
        await asyncio.sleep(0.05)
    os._exit(0)
asyncio.run(main())
"""
LOAD = r"""
import asyncio, json, signal, sys, time
rate, connections = int(sys.argv[1]), int(sys.argv[2])
stop = False
sent, good, posts, bad, slowest = 0, 0, [], [], 0.0

class Conn:
    def __init__(self):
        self.streams = None

    async def ask(self, method, target, body):
        fresh = self.streams is None
        if not fresh and self.streams[0].at_eof():
            self.streams[1].close()
            fresh = True
        if fresh:
            self.streams = await asyncio.open_connection("127.0.0.1", 9001)
        reader, writer = self.streams
        head = f"{method} {target} HTTP/1.1\r\nhost: api\r\n"
        if body:
            head += f"content-length: {len(body)}\r\n"
        writer.write(head.encode() + b"\r\n" + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(answer.split("content-length: ")[1].split("\r\n")[0])
        text = (await reader.readexactly(length)).decode()
        if "connection: close" in answer:
            writer.close()
            self.streams = None
        return answer.split("\r\n")[0], text

async def one(index, start):
    global sent, good, slowest
    conn, n, due = Conn(), 0, start + index / rate
    while not stop:
        await asyncio.sleep(max(0, due - time.monotonic()))
        due = max(due + connections / rate, time.monotonic() - 1)
        n += 1
        post = n % 3 == 0
        front = "/long" if index < 2 else ""
        target, body = f"{front}/{index}/{n}", f"{index}-{n}".encode() if post else b""
        sent += 1
        begun = time.monotonic()
        try:
            call = conn.ask("POST" if post else "GET", target, body)
            status, text = await asyncio.wait_for(call, 30)
            if " 200 " not in status or not text.startswith(target + " "):
                bad.append(f"{target}: {status} {text[:200]}")
            else:
                good += 1
                if post:
                    posts.append(f"{index}-{n}")
        except Exception as e:
            bad.append(f"{target} {'POST' if post else 'GET'} at {time.time():.3f}: {e!r}")
            conn = Conn()
        slowest = max(slowest, time.monotonic() - begun)

async def main():
    def end():
        global stop
        stop = True
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end)
    await asyncio.gather(*(one(i, time.monotonic()) for i in range(connections)))
    print(json.dumps({"sent": sent, "good": good, "posts": posts, "bad": bad, "slowest": slowest}))
asyncio.run(main())
"""
API = (
    '[service.api]\nlocal = "127.0.0.1:8081"\nallow = ["web"]\n'
    'health = { http = "/healthz", interval = "200ms", unhealthy_after = 1 }\n'
)
WEB = (
    '[service.web]\nlocal = "127.0.0.1:8080"\nhealth = "none"\n'
    '[upstream.api]\nlisten = "127.0.0.1:9001"\nas = "web"\n'
)


class Site:
    def __init__(self, lab, tap):
        self.lab = lab
        self.tap = tap
        self.app = {}
        self.manager = {}
        for name, text in (("app.py", APP), ("load.py", LOAD)):
            with open(os.path.join(lab.folder, name), "w") as f:
                f.write(text)

    def path(self, name):
        return os.path.join(self.lab.folder, name)

    def start_app(self, h):
        argv = [sys.executable, self.path("app.py"), h.name, self.path(f"posts-{h.name}")]
        self.app[h.name] = h.spawn(*argv, log="app.log")

    def state(self, h):
        return self.lab.host[1].endpoint_states("api").get(h.name)

    def supervise(self, h):
        """From now on this host's parley belongs to a manager."""
        h.kill(signal.SIGTERM)
        self.manager[h.name] = Manager(self.path(f"notify-{h.name}"))
        self.start_parley(h)

    def start_parley(self, h):
        manager = self.manager[h.name]
        manager.forget()
        log = open(self.path(f"{h.name}.log"), "ab")
        argv = [binary(), "up", "--root", h.root]
        h.agent = manager.start(argv, h.prefix(), stdout=log, stderr=log, start_new_session=True)
        log.close()
        self.lab.processes.append(h.agent)
        self.tap.ok(manager.wait("READY=1", 20), f"{h.name}: READY=1", h.log()[-2000:])

    def restart_parley(self, h):
        h.kill(signal.SIGTERM)
        self.tap.ok(h.agent.returncode == 0, f"{h.name}: SIGTERM ends it with 0", h.log()[-2000:])
        held = sorted(self.manager[h.name].store)
        self.start_parley(h)
        return held

    def restart_app(self, h):
        app = self.app[h.name]
        os.kill(app.pid, signal.SIGTERM)
        out = wait_for(lambda: self.state(h) != "up", 20)
        self.tap.ok(out, f"the application on {h.name} is taken out by its health check")
        app.wait(timeout=30)
        self.start_app(h)


def all_up(site):
    return wait_for(lambda: all(site.state(site.lab.host[n]) == "up" for n in (2, 3)), 20)


def prepare(site, tap):
    lab = site.lab
    lab.host[1].config(WEB)
    for n in (2, 3):
        lab.host[n].config(API)
        site.start_app(lab.host[n])
    for h in lab.host.values():
        site.supervise(h)
    return tap.ok(all_up(site), "both applications are up", lab.host[1].parley("services").stdout)


def roll(site, tap):
    """What a rolling restart does, in its order: wait until one is back before the next goes."""
    lab = site.lab
    for n in (2, 3):
        site.restart_app(lab.host[n])
        tap.ok(all_up(site), f"the application on h{n} is back")
    for n in (2, 3):
        held = site.restart_parley(lab.host[n])
        tap.ok(any("7400" in name for name in held), f"h{n}: its mesh port waits", held)
        tap.ok(all_up(site), f"the parley on h{n} is back", lab.host[n].log()[-2000:])
    held = site.restart_parley(lab.host[1])
    tap.ok("127.0.0.1_9001" in held, "h1: its callers' listener waits", held)
    inherited = lambda: "fd_store inherited=" in lab.host[1].log()
    tap.ok(wait_for(inherited, 5), "and the next process has it", lab.host[1].log()[-2000:])
    tap.ok(all_up(site), "the caller's own parley is back")


def start_load(site, args):
    h1 = site.lab.host[1]
    several = str(max(2, args.connections // 8))
    loads = []
    callers = [[site.path("load.py"), str(args.rate), str(args.connections)]]
    if importlib.util.find_spec("hpack"):
        callers.append([os.path.join(HERE, "rolling_h2.py"), str(args.rate / 20), several])
    else:
        site.tap.skip("callers of HTTP/2", "python3-hpack is not installed")
    for argv in callers:
        argv = h1.prefix() + [sys.executable] + argv
        how = {"stdout": subprocess.PIPE, "text": True, "start_new_session": True}
        loads.append(subprocess.Popen(argv, **how))
    site.lab.processes += loads
    return loads


def judge(site, tap, loads):
    for load in loads:
        load.send_signal(signal.SIGTERM)
    posts = []
    for load, kind in zip(loads, ("HTTP/1.1", "HTTP/2")):
        out, _ = load.communicate(timeout=60)
        result = json.loads(out)
        posts += result["posts"]
        tap.note(f"{kind}: {result['sent']} requests, the slowest took {result['slowest']:.2f} s")
        bad = result["bad"]
        tap.ok(
            result["good"] > 100 and not bad,
            f"{kind}: zero failed requests of {result['sent']}",
            f"{len(bad)} bad\n" + "\n".join(bad[:20]),
        )
    seen = []
    for n in (2, 3):
        with open(site.path(f"posts-h{n}")) as f:
            seen += f.read().split()
    tap.ok(
        sorted(seen) == sorted(posts),
        f"every POST counted exactly once ({len(seen)})",
        f"{len(seen)} arrived, {len(posts)} were answered",
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=int, default=0, help="repeat the restarts for so long")
    args = parser.parse_args()
    if os.geteuid() != 0:
        skip_all("network namespaces need root")
    if not os.path.exists(binary()):
        skip_all("build/parley does not exist (make all)")
    tap = Tap()
    with Lab(3) as lab:
        site = Site(lab, tap)
        if lab.mesh(tap) and prepare(site, tap):
            loads = start_load(site, args)
            posts = lambda: sum(os.path.getsize(site.path(f"posts-h{n}")) for n in (2, 3))
            tap.ok(wait_for(posts, 20), "the load runs")
            end = time.monotonic() + args.seconds
            roll(site, tap)
            while time.monotonic() < end:
                roll(site, tap)
            judge(site, tap, loads)
            lab.sound(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
