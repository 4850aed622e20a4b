#!/usr/bin/env python3
"""The HTTP/2 callers of run_rolling.py: each keeps one connection until it is told to go away.

argv: requests a second, connections. SIGTERM ends it; then it prints what came of it, as JSON. What
GOAWAY or REFUSED_STREAM says was not processed is sent again, as RFC 9113 8.7 allows; nothing else.
"""

import json
import signal
import sys
import threading
import time

from h2_wire import REFUSED, Gone, dial, get

WAIT_S = 30


class Caller(threading.Thread):
    def __init__(self, index, rate, connections, stop):
        super().__init__()
        self.index, self.pace, self.stop = index, connections / rate, stop
        self.peer = None
        self.sent, self.again, self.slowest = 0, 0, 0.0
        self.posts, self.bad = [], []

    def ask(self, method, target, body):
        """The message of an answer; None: the other side did not take it."""
        if self.peer and (self.peer.goaway or not self.listen()):
            self.peer.close()
            self.peer = None
        if not self.peer:
            self.peer = dial(("127.0.0.1", 9001))
            self.peer.sock.settimeout(WAIT_S)
        stream = self.peer.next_id
        try:
            more = [("content-length", str(len(body)))] if body else []
            fields = get(target, *more, method=method, authority="api")
            self.peer.request(fields, body or None)
            message = self.peer.answer(stream, WAIT_S)
        except Gone:
            message = self.peer.streams[stream]
        away = self.peer.goaway
        if message.reset == REFUSED or (not message.heads and away and away[0] < stream):
            return None
        return message

    def listen(self):
        """What came meanwhile; False: the connection is over."""
        self.peer.wait(lambda: self.peer.goaway, 0.0005)
        return not self.peer.goaway

    def one(self, n):
        post = n % 3 == 0
        target, body = f"/h2-{self.index}/{n}", f"h2-{self.index}-{n}" if post else ""
        begun = time.monotonic()
        while (m := self.ask("POST" if post else "GET", target, body.encode())) is None:
            self.again += 1
        good = m.ended and m.reset is None and m.status() == 200
        if not good or not m.body.decode().startswith(target + " "):
            self.bad.append(
                f"h2 {target} at {time.time():.3f}: {m.heads} {m.body[:200]} ended={m.ended} "
                f"reset={m.reset} goaway={self.peer.goaway}"
            )
        elif post:
            self.posts.append(body)
        self.slowest = max(self.slowest, time.monotonic() - begun)

    def run(self):
        due = time.monotonic() + self.pace * self.index / 16
        while not self.stop.is_set():
            time.sleep(max(0, due - time.monotonic()))
            due = max(due + self.pace, time.monotonic() - 1)
            self.sent += 1
            try:
                self.one(self.sent)
            except (Gone, OSError) as e:
                self.bad.append(f"h2 {self.index}/{self.sent} at {time.time():.3f}: {e!r}")
                self.peer = None


def main():
    rate, connections = float(sys.argv[1]), int(sys.argv[2])
    stop = threading.Event()
    callers = [Caller(i, rate, connections, stop) for i in range(connections)]
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    for c in callers:
        c.start()
    for c in callers:
        c.join()
    result = {
        "sent": sum(c.sent for c in callers),
        "again": sum(c.again for c in callers),
        "good": sum(c.sent - len(c.bad) for c in callers),
        "posts": [p for c in callers for p in c.posts],
        "bad": [b for c in callers for b in c.bad],
        "slowest": max(c.slowest for c in callers),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
