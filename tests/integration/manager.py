"""A small service manager: starts parley with NOTIFY_SOCKET, hears what it says, and holds the
descriptors that it is given to keep (FDSTORE=1), which the next start finds from 3 on.

Used by the run_*.py scripts; Linux's sd_notify(3) and sd_listen_fds(3), as far as parley uses them.
"""

import os
import socket
import subprocess
import sys
import threading
import time

from lab import patient

# Puts the passed descriptors at 3.. and becomes the program, whose id LISTEN_PID has to be.
START = """
import os, sys
fds = [int(f) for f in sys.argv[1].split(",") if f]
high = [os.dup2(f, 500 + i) for i, f in enumerate(fds)]
for i, f in enumerate(high):
    os.dup2(f, 3 + i)
    os.close(f)
for f in fds:
    if f >= 3 + len(fds):
        os.close(f)
if fds:
    os.environ["LISTEN_FDS"] = str(len(fds))
    os.environ["LISTEN_PID"] = str(os.getpid())
os.execvp(sys.argv[2], sys.argv[2:])
"""


class Manager:
    def __init__(self, path):
        self.path = path
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(path)
        os.chmod(path, 0o777)
        self.changed = threading.Condition()
        self.heard = []
        self.store = {}  # name -> descriptors
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            try:
                data, fds, _, _ = socket.recv_fds(self.sock, 4096, 64)
            except OSError:
                return
            text = data.decode()
            lines = dict(l.split("=", 1) for l in text.split("\n") if "=" in l)
            with self.changed:
                if lines.get("FDSTORE") == "1":
                    self.keep(lines["FDNAME"], fds)
                if lines.get("FDSTOREREMOVE") == "1":
                    for fd in self.store.pop(lines["FDNAME"], []):
                        os.close(fd)
                self.heard.append(text)
                self.changed.notify_all()

    def keep(self, name, fds):
        """What is held already is not held twice."""
        held = self.store.setdefault(name, [])
        known = {os.fstat(f).st_ino for f in held}
        for fd in fds:
            if os.fstat(fd).st_ino in known:
                os.close(fd)
            else:
                held.append(fd)

    def wait(self, word, seconds):
        """As `hear`, patiently."""
        return self.hear(word, patient(seconds))

    def hear(self, word, seconds):
        """The first message with a line that starts with `word`; None when the time is over."""
        end = time.monotonic() + seconds
        with self.changed:
            while True:
                for message in self.heard:
                    if any(line.startswith(word) for line in message.split("\n")):
                        return message
                left = end - time.monotonic()
                if left <= 0 or not self.changed.wait(left):
                    return None

    def forget(self):
        with self.changed:
            self.heard = []

    def start(self, argv, prefix=[], **kw):
        """A process of the service, with all that is held."""
        with self.changed:
            fds = [fd for held in self.store.values() for fd in held]
        env = {**os.environ, "NOTIFY_SOCKET": self.path, **kw.pop("env", {})}
        wrapper = [sys.executable, "-c", START, ",".join(map(str, fds))]
        return subprocess.Popen(prefix + wrapper + argv, pass_fds=fds, env=env, **kw)
