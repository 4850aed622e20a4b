#!/usr/bin/env python3
"""Five hosts in five network namespaces: real applications, real clients, real faults.

nginx, a Python server and PostgreSQL are services; curl, h2load and psql are clients; each talks to
its local parley only. Shows: no plaintext on any link; kill -9, SIGTERM, rolling restarts and
reloads without a failed request; default deny and a rule change on a live connection.

Time limit: 900 s

"""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

from lab import Lab, Tap, binary, patient, run, skip_all, wait_for

MARKER = "PLAINTEXT-MARKER-7f3a91c4"
NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx-{name}.pid; error_log {folder}/nginx-{name}.err;
events {{ worker_connections 512; }}
http {{
  access_log {folder}/nginx-{name}.access;
  client_body_temp_path {folder}/nb-{name}; proxy_temp_path {folder}/np-{name};
  fastcgi_temp_path {folder}/nf-{name}; uwsgi_temp_path {folder}/nu-{name};
  scgi_temp_path {folder}/ns-{name};
  keepalive_requests 1000000;
  server {{
    listen 127.0.0.1:8081;
    location / {{ default_type text/plain; return 200 "{name} {marker}\\n"; }}
  }}
}}
"""
PYTHON_APP = """
import http.server
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self, body):
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.answer(("hello " + self.headers.get("parley-peer", "-")).encode())
    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers.get("content-length", 0))))
http.server.ThreadingHTTPServer(("127.0.0.1", 8082), H).serve_forever()
"""
API = (
    '[service.api]\nlocal = "127.0.0.1:8081"\nallow = ["web"]\n'
    'health = { http = "/", interval = "500ms" }\n'
)
PY = '[service.py]\nlocal = "127.0.0.1:8082"\n'
DB = '[service.db]\nlocal = "127.0.0.1:5432"\nprotocol = "tcp"\nallow = ["web"]\n'
WEB = (
    '[service.web]\nlocal = "127.0.0.1:8080"\nhealth = "none"\n'
    '[upstream.api]\nlisten = "127.0.0.1:9001"\n[upstream.py]\nlisten = "127.0.0.1:9002"\n'
    '[upstream.db]\nlisten = "127.0.0.1:9003"\nprotocol = "tcp"\n'
)


class Load:
    """h2load over HTTP/1.1 against host 1's listener for `api`, at a fixed rate."""

    def __init__(self, host, seconds, rate=500, connections=10):
        self.p = subprocess.Popen(
            host.prefix()
            + [
                "h2load",
                "--h1",
                "-c",
                str(connections),
                "-t",
                "1",
                "--rps",
                str(rate // connections),
                "-D",
                str(seconds),
                "http://127.0.0.1:9001/",
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def result(self):
        """(requests, bad) where bad counts everything that was no 2xx."""
        out, _ = self.p.communicate(timeout=120)
        self.text = out
        m = re.search(
            r"requests: (\d+) total, (\d+) started, (\d+) done, (\d+) succeeded, "
            r"(\d+) failed, (\d+) errored, (\d+) timeout",
            out,
        )
        codes = re.search(r"status codes: (\d+) 2xx", out)
        if not m or not codes:
            return 0, 1
        total, done, good = int(m[1]), int(m[3]), int(codes[1])
        # Requests still in flight when the time is over count as started, not as failed.
        return total, (done - good) + int(m[6]) + int(m[7])


def start_apps(lab, tap):
    for n in (2, 3):
        h = lab.host[n]
        conf = os.path.join(lab.folder, f"nginx-{h.name}.conf")
        with open(conf, "w") as f:
            f.write(NGINX.format(folder=lab.folder, name=h.name, marker=MARKER))
        h.spawn("nginx", "-c", conf, "-e", os.path.join(lab.folder, "nginx.err"), log="nginx.log")
    app = os.path.join(lab.folder, "app.py")
    with open(app, "w") as f:
        f.write(PYTHON_APP)
    lab.host[4].spawn(sys.executable, app, log="py.log")
    pg = sorted(os.listdir("/usr/lib/postgresql"))[-1]
    bins = f"/usr/lib/postgresql/{pg}/bin"
    data = os.path.join(lab.folder, "pg")
    os.makedirs(data)
    shutil.chown(data, "postgres", "postgres")
    h5 = lab.host[5]
    h5.run(
        "runuser",
        "-u",
        "postgres",
        "--",
        f"{bins}/initdb",
        "-D",
        data,
        "-A",
        "trust",
        "-N",
        timeout=60,
    )
    h5.spawn(
        "runuser",
        "-u",
        "postgres",
        "--",
        f"{bins}/postgres",
        "-D",
        data,
        "-k",
        data,
        "-h",
        "127.0.0.1",
        log="pg.log",
    )
    lab.host[1].config(WEB)
    lab.host[2].config(API)
    lab.host[3].config(API)
    lab.host[4].config(PY)
    lab.host[5].config(DB)
    for h in lab.host.values():
        r = h.parley("reload", "--wait")
        tap.ok(r.returncode == 0, f"{h.name} takes its services by reload", r.stdout + r.stderr)
    return wait_for(
        lambda: all(
            lab.host[1].endpoint_states(s)
            and set(lab.host[1].endpoint_states(s).values()) == {"up"}
            and len(lab.host[1].endpoint_states(s)) == n
            for s, n in (("api", 2), ("py", 1), ("db", 1))
        ),
        15,
    )


def tcpdump(host, link, name):
    path = os.path.join(host.lab.folder, f"{name}.pcap")
    argv = ["tcpdump", "-i", link, "--immediate-mode", "-U", "-w", path]
    host.spawn(*argv, log="tcpdump.log")
    return path


def capture(lab):
    """tcpdump on every host's link, and on the first host's loopback as the control."""
    lab.link = [tcpdump(h, "eth0", h.name) for h in lab.host.values()]
    lab.loopback = tcpdump(lab.host[1], "lo", "lo")
    files = lab.link + [lab.loopback]
    wait_for(lambda: all(os.path.exists(f) and os.path.getsize(f) >= 24 for f in files), 5)


def holds(path, text):
    with open(path, "rb") as f:
        return text.encode() in f.read()


def clients(lab, tap):
    h1 = lab.host[1]
    seen = set()
    for _ in range(20):
        r = h1.run("curl", "-s", "-m", "5", "http://127.0.0.1:9001/x")
        seen.add(r.stdout.split(" ")[0])
        if MARKER not in r.stdout:
            break
    tap.ok(
        seen == {"h2", "h3"},
        "curl reaches both nginx endpoints of api",
        f"{seen} {r.stdout} {r.stderr}",
    )
    r = h1.run(
        "psql",
        "-h",
        "127.0.0.1",
        "-p",
        "9003",
        "-U",
        "postgres",
        "-Atc",
        f"select '{MARKER}' || count(*) from generate_series(1, 100000)",
        env={**os.environ, "PGCONNECT_TIMEOUT": "5"},
    )
    tap.ok(
        r.stdout.strip() == MARKER + "100000",
        "psql talks to PostgreSQL over TCP",
        r.stdout + r.stderr,
    )
    tap.ok(
        wait_for(lambda: holds(lab.loopback, MARKER), 5),
        "the payload is visible on the client's loopback (the capture works)",
    )
    # The same payload has crossed three links by now: the captures grow by more than its size.
    size = lambda: sum(os.path.getsize(f) for f in lab.link)
    grown = wait_for(lambda: size() > 20000, 5)
    leaks = [f for f in lab.link if holds(f, MARKER)]
    tap.ok(grown and not leaks, "no capture on a link holds the payload", f"{leaks} {size()}")


def denied_then_allowed(lab, tap):
    """On one keep-alive connection, made from inside the first host's namespace."""
    code = """
import http.client, sys, time
c = http.client.HTTPConnection("127.0.0.1", 9002, timeout=5)
def ask():
    c.request("GET", "/hello"); r = c.getresponse(); b = r.read().decode()
    return r.status, r.getheader("parley-reason") or "-", b
s, reason, _ = ask()
print(s, reason, flush=True)
sys.stdin.readline()
start = time.monotonic()
while time.monotonic() - start < 3:
    s, reason, b = ask()
    if s == 200: break
    time.sleep(0.05)
print(s, b, round(time.monotonic() - start, 2), flush=True)
"""
    h1, h4 = lab.host[1], lab.host[4]
    p = subprocess.Popen(
        h1.prefix() + [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    first = p.stdout.readline().strip()
    tap.ok(first == "403 denied_default", "without a rule: 403 denied_default", first)
    with open(os.path.join(lab.folder, "py.log")) as f:
        log = f.read()
    tap.ok("/hello" not in log, "the server never saw the denied request", log)
    h4.config(PY + 'allow = ["web"]\n')
    r = h4.parley("reload", "--wait")
    p.stdin.write("go\n")
    p.stdin.flush()
    second = p.stdout.readline().strip()
    p.wait(timeout=10)
    tap.ok(
        r.returncode == 0 and second.startswith("200 hello spiffe://lab/service/web"),
        "with the rule: 200 on the same connection within 3 s, caller named",
        second + r.stderr,
    )


def kill_nine(lab, tap):
    h1, h2 = lab.host[1], lab.host[2]
    load = Load(h1, 14)
    time.sleep(4)
    at = time.monotonic()
    h2.kill(signal.SIGKILL)
    others = [h for h in lab.host.values() if h is not h2]
    out = wait_for(
        lambda: all(
            h.endpoint_states("api").get("h2") in (None, "unreachable", "down") for h in others
        ),
        8,
    )
    took = time.monotonic() - at
    tap.ok(
        out and took <= patient(5),
        f"the killed host's endpoint is out on every host within 5 s ({took:.2f} s)",
    )
    time.sleep(1)
    h2.up()
    at = time.monotonic()
    back = wait_for(
        lambda: all(h.endpoint_states("api").get("h2") == "up" for h in lab.host.values()), 8
    )
    took = time.monotonic() - at
    tap.ok(
        back and took <= patient(2),
        f"it is back everywhere within 2 s of its restart ({took:.2f} s)",
        "\n".join(h.parley("members").stdout for h in lab.host.values()),
    )
    total, bad = load.result()
    tap.ok(
        total >= 1000 and bad == 0,
        f"kill -9 under 500 requests a second: no failed GET ({total} requests)",
        load.text,
    )


def cut_off(lab, tap):
    """The harder death: no reset comes, the host is only silent, and then it is there again."""
    h1, h2 = lab.host[1], lab.host[2]
    load = Load(h1, 12)
    time.sleep(2)
    at = time.monotonic()
    run(["ip", "-n", h2.netns, "link", "set", "eth0", "down"], check=True)
    out = wait_for(lambda: h1.endpoint_states("api").get("h2") != "up", 8)
    took = time.monotonic() - at
    tap.ok(out and took <= patient(5), f"a silent host's endpoint is out within 5 s ({took:.2f} s)")
    run(["ip", "-n", h2.netns, "link", "set", "eth0", "up"], check=True)
    back = wait_for(lambda: h1.endpoint_states("api").get("h2") == "up", 10)
    tap.ok(back, "and back when its link is", h1.parley("members").stdout)
    total, bad = load.result()
    tap.ok(
        total >= 1000 and bad == 0,
        f"a host cut off under 500 requests a second: no failed GET ({total} requests)",
        load.text,
    )


def sigterm(lab, tap):
    h1, h3 = lab.host[1], lab.host[3]
    load = Load(h1, 10)
    time.sleep(3)
    h3.kill(signal.SIGTERM)
    tap.ok(h3.agent.returncode == 0, "SIGTERM ends parley with status 0", h3.log()[-2000:])
    time.sleep(1)
    h3.up()
    total, bad = load.result()
    tap.ok(
        total >= 1000 and bad == 0,
        f"SIGTERM and restart under load: zero failed requests ({total})",
        load.text,
    )


def rolling(lab, tap):
    h1 = lab.host[1]
    wait_for(lambda: set(h1.endpoint_states("api").values()) == {"up"}, 5)
    load = Load(h1, 16)
    failures = []

    def reloads(h):
        for _ in range(100):
            r = h.parley("reload")
            if r.returncode != 0:
                failures.append(f"{h.name}: {r.stdout} {r.stderr}")

    time.sleep(1)
    for n in (2, 3):
        h = lab.host[n]
        h.kill(signal.SIGTERM)
        h.up()
        wait_for(lambda: h1.endpoint_states("api").get(h.name) == "up", 5)
    threads = [threading.Thread(target=reloads, args=(h,)) for h in lab.host.values()]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    total, bad = load.result()
    tap.ok(not failures, "100 reloads on each of five hosts succeed", "\n".join(failures[:5]))
    tap.ok(
        total >= 1000 and bad == 0,
        f"rolling restart and 500 reloads under load: zero failed requests ({total})",
        load.text,
    )


def main():
    if os.geteuid() != 0:
        skip_all("network namespaces need root")
    for tool in ("ip", "nginx", "psql", "h2load", "curl", "tcpdump", "runuser"):
        if not shutil.which(tool):
            skip_all(f"{tool} is not installed (make deps)")
    if not os.path.exists(binary()):
        skip_all("build/parley does not exist (make all)")
    tap = Tap()
    with Lab(5) as lab:
        if lab.mesh(tap):
            tap.ok(
                start_apps(lab, tap),
                "all endpoints are up in the first host's catalogue",
                lab.host[1].parley("services").stdout,
            )
            capture(lab)
            clients(lab, tap)
            denied_then_allowed(lab, tap)
            kill_nine(lab, tap)
            cut_off(lab, tap)
            sigterm(lab, tap)
            rolling(lab, tap)
            lab.sound(tap)
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
