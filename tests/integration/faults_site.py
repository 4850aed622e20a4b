"""The three hosts of run_faults.py: h1 calls; `api` runs on h2 and h3, `side` on h3, everything
else on h2. No request is sent twice by the client.
"""

import os
import sys

from faults_app import APP, ECHO
from inside import Net, read_all
from lab import patient, wait_for

API = (
    '[service.api]\nlocal = "127.0.0.1:8081"\nallow = ["web"]\nhealth = "none"\n'
    '[service.only]\nlocal = "127.0.0.1:8081"\nallow = ["web"]\nhealth = "none"\n'
    '[service.mute]\nlocal = "127.0.0.1:8081"\nallow = ["web"]\nhealth = "none"\n'
    '[service.echo]\nlocal = "127.0.0.1:8082"\nprotocol = "tcp"\nallow = ["web"]\n'
)
API3 = (
    '[service.api]\nlocal = "127.0.0.1:8081"\nallow = ["web"]\nhealth = "none"\n'
    '[service.side]\nlocal = "127.0.0.1:8081"\nallow = ["web"]\nhealth = "none"\n'
)
WEB = (
    '[service.web]\nlocal = "127.0.0.1:8080"\nhealth = "none"\n'
    '[upstream.api]\nlisten = "127.0.0.1:9001"\n'
    '[upstream.only]\nlisten = "127.0.0.1:9002"\nrequest_timeout = "2s"\nidle_timeout = "2s"\n'
    '[upstream.echo]\nlisten = "127.0.0.1:9003"\nprotocol = "tcp"\n'
    '[upstream.mute]\nlisten = "127.0.0.1:9004"\nrequest_timeout = "1s"\n'
    'eject = { after = 5, for = "2s", max = "100%" }\n'
    '[upstream.side]\nlisten = "127.0.0.1:9005"\n'
)


class Site:
    def __init__(self, lab, tap):
        self.lab = lab
        self.tap = tap
        self.h1, self.h2, self.h3 = (lab.host[n] for n in (1, 2, 3))
        self.net = Net(self.h1, "127.0.0.1")
        for name, text in (("app.py", APP), ("echo.py", ECHO)):
            with open(self.path(name), "w") as f:
                f.write(text)

    def path(self, name):
        return os.path.join(self.lab.folder, name)

    def start(self):
        for h in (self.h2, self.h3):
            h.app = h.spawn(sys.executable, self.path("app.py"), h.name, self.lab.folder, log="app")
        self.h2.spawn(sys.executable, self.path("echo.py"), log="app")
        self.h1.config(WEB)
        self.h2.config(API)
        self.h3.config(API3)
        for h in self.lab.host.values():
            r = h.parley("reload", "--wait")
            self.tap.ok(r.returncode == 0, f"{h.name} takes its services", r.stdout + r.stderr)
        up = lambda: all(
            set(self.h1.endpoint_states(s).values()) == {"up"}
            and len(self.h1.endpoint_states(s)) == n
            for s, n in (("api", 2), ("only", 1), ("echo", 1), ("mute", 1), ("side", 1))
        )
        return self.tap.ok(wait_for(up, 20), "every endpoint is up") and self.serves()

    def seen(self, what):
        """How often an application noted a line with this."""
        total = 0
        for name in ("h2", "h3"):
            try:
                with open(self.path(f"seen-{name}")) as f:
                    total += sum(1 for line in f if what in line)
            except OSError:
                pass
        return total

    def go(self, name):
        """The application may answer /NAME now."""
        with open(self.path("go-" + name), "w"):
            pass

    def metric(self, start):
        """The sum of all samples of h1's /metrics whose line begins with `start`."""
        argv = ["curl", "-s", "--unix-socket", f"{self.h1.root}/run/parley/parley.sock"]
        text = self.h1.run(*argv, "http://localhost/metrics").stdout
        return sum(float(x.split()[-1]) for x in text.splitlines() if x.startswith(start))

    def get(self, target, port=9002, method="GET", body=b""):
        return self.exchange(self.net.tcp(port), target, method, body)

    @staticmethod
    def exchange(s, target, method="GET", body=b""):
        s.settimeout(patient(10))
        head = f"{method} {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
        if body:
            head += f"Content-Length: {len(body)}\r\n"
        s.sendall(head.encode() + b"\r\n" + body)
        return read_all(s).decode("latin-1")

    def serves(self):
        """All is well again, on every path."""
        good = lambda: all(" 200 " in self.get("/well", port)[:13] for port in (9001, 9002))
        return self.tap.ok(wait_for(good, 15), "and all is well behind it")


def resident_kib(host):
    with open(f"/proc/{host.agent.pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:"))


def sanitized(host):
    """The sanitizer keeps what was freed, to see who still uses it: memory says nothing."""
    with open(f"/proc/{host.agent.pid}/maps") as f:
        text = f.read()
    return "libasan" in text or "libtsan" in text
