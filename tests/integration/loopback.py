"""Two hosts of one mesh on loopback addresses, no root needed, for tests that talk to them over raw
sockets; and a TLS relay with which a plain client reaches a mesh port as one of them.

Standard library only. Everything it starts is ended by process id.
"""

import base64
import os
import select
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile

from acceptor import Acceptor
from lab import Tap, binary, run, skip_all, wait_for


class Node:
    def __init__(self, folder, number):
        self.name = f"h{number}"
        self.addr = f"127.0.77.{number}"
        self.root = os.path.join(folder, self.name)
        self.log = os.path.join(folder, f"{self.name}.log")
        self.process = None

    def parley(self, *argv):
        return run([binary(), *argv, "--root", self.root])

    def config(self, text):
        path = os.path.join(self.root, "etc/parley/conf.d/rows.toml")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)

    def up(self):
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(
                [binary(), "up", "--root", self.root],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        return wait_for(lambda: self.parley("ready").returncode == 0, 10)

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self):
        if not self.alive():
            return
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def said(self):
        try:
            with open(self.log, errors="replace") as f:
                return f.read()
        except OSError:
            return ""

    def state(self, *parts):
        return os.path.join(self.root, "var/lib/parley", *parts)


def boot(tap, one, two, text_one, text_two):
    """Mesh `lab` of both nodes with these configurations. False: it did not come up, said."""
    r = one.parley("init", "--mesh", "lab", "--node", one.name, "--addr", one.addr)
    if not tap.ok(r.returncode == 0, "init makes a mesh", r.stdout + r.stderr):
        return False
    one.config(text_one)
    if not tap.ok(one.up(), "node 1 is ready", one.said()):
        return False
    token = one.parley("token", "create", "-q").stdout.strip()
    r = two.parley("join", token, "--node", two.name, "--addr", two.addr)
    if not tap.ok(r.returncode == 0, "node 2 joins", r.stdout + r.stderr):
        return False
    two.config(text_two)
    return tap.ok(two.up(), "node 2 is ready", two.said())


def main(run_all, prefix):
    """A whole script: run_all(tap, folder), whose folder goes with it unless LAB_KEEP is set."""
    if not os.access(binary(), os.X_OK):
        skip_all(f"no {binary()}")
    tap = Tap()
    folder = tempfile.mkdtemp(prefix=prefix)
    try:
        run_all(tap, folder)
    finally:
        if os.environ.get("LAB_KEEP"):
            tap.note(f"kept {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return tap.done()


def key_pem(path):
    """A P-256 key file of parley as PEM (SEC 1, RFC 5915), which other programs read."""
    with open(path) as f:
        secret = base64.b64decode(f.read().split()[2])
    der = bytes.fromhex("30310201010420") + secret + bytes.fromhex("a00a06082a8648ce3d030107")
    text = base64.b64encode(der).decode()
    return f"-----BEGIN EC PRIVATE KEY-----\n{text}\n-----END EC PRIVATE KEY-----\n"


class Relay(Acceptor):
    """Plain TCP here, mutual TLS with ALPN h2 as `service` of `node` there."""

    def __init__(self, listen, mesh, sni, node, service):
        self.mesh, self.sni = mesh, sni
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.check_hostname = False
        self.context.verify_mode = ssl.CERT_NONE
        self.context.maximum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_alpn_protocols(["h2"])
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as key:
            key.write(key_pem(node.state("services", f"{service}.key")))
            key.flush()
            self.context.load_cert_chain(node.state("services", f"{service}.crt"), key.name)
        super().__init__(listen)

    def serve(self, plain):
        tls = None
        try:
            raw = socket.create_connection(self.mesh, timeout=10)
            tls = self.context.wrap_socket(raw, server_hostname=self.sni)
            self.pass_on(plain, tls)
        except OSError:
            pass  # either side went away: so does the other
        finally:
            for s in (plain, tls):
                if s is not None:
                    s.close()

    @staticmethod
    def pass_on(plain, tls):
        while True:
            ready = [tls] if tls.pending() else select.select([plain, tls], [], [], 30)[0]
            if not ready:
                return
            for source in ready:
                data = source.recv(65536)
                if not data:
                    return
                (tls if source is plain else plain).sendall(data)
