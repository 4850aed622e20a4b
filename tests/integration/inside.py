"""Sockets inside a host's network namespace, used from outside it. For the run_*.py scripts."""

import socket
import subprocess
import sys


class Net:
    """Sockets inside a host's network namespace: made by a child that hands them over."""

    MAKE = """
import array, socket, sys
kind, where, port, out = sys.argv[1:5]
out = socket.socket(fileno=int(out))
if kind == "unix":
    s = socket.socket(socket.AF_UNIX)
    s.connect(where)
else:
    s = socket.create_connection((where, int(port)), timeout=5)
out.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [s.fileno()]))])
"""

    def __init__(self, host, loop):
        self.host = host
        self.loop = loop

    def make(self, kind, where, port=0):
        ours, theirs = socket.socketpair()
        out = theirs.fileno()
        argv = [sys.executable, "-c", self.MAKE, kind, where, str(port), str(out)]
        subprocess.run(self.host.prefix() + argv, pass_fds=[out], check=True, timeout=30)
        _, fds, _, _ = socket.recv_fds(ours, 1, 1)
        ours.close()
        theirs.close()
        s = socket.socket(fileno=fds[0])
        s.settimeout(10)
        return s

    def tcp(self, port):
        return self.make("tcp", self.loop, port)

    def unix(self, path):
        return self.make("unix", path)


def read_all(s):
    data = b""
    try:
        while True:
            more = s.recv(65536)
            if not more:
                return data
            data += more
    except ConnectionResetError:
        return data + b"<reset>"


def read_until(s, end):
    data = b""
    while not data.endswith(end):
        more = s.recv(1)
        if not more:
            break
        data += more
    return data


def get(s, target, front=b""):
    request = f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    s.sendall(front + request.encode())
    return read_all(s).decode("latin-1")


def status(answer):
    return int(answer[9:12]) if answer.startswith("HTTP/1.1 ") else 0
