#!/usr/bin/env python3
# Time limit: 240 s for a dozen small programs, also under sanitizers.
"""The sample applications `parley testapp echo` and `testapp load`, over raw sockets and over each
other. Prints TAP. Addresses 127.0.0.48, ports from 8481."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

from lab import Tap, binary, run, skip_all

HOST = "127.0.0.48"
DB, API, WEB, NOBODY = 8481, 8482, 8483, 8489


def url(port, path="/"):
    return f"http://{HOST}:{port}{path}"


def exchange(port, data, half_close=False):
    """What comes back until the end of the stream, which must come within 5 s."""
    with socket.create_connection((HOST, port), timeout=5) as s:
        s.sendall(data)
        if half_close:
            s.shutdown(socket.SHUT_WR)
        out = b""
        while chunk := s.recv(65536):
            out += chunk
        return out


def request(path, *fields, method="GET", body=b"", close=True):
    lines = [f"{method} {path} HTTP/1.1", f"host: {HOST}", *fields]
    if close:
        lines.append("connection: close")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def split(answer):
    head, _, body = answer.partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    return status, head.lower(), body


def start(*argv):
    p = subprocess.Popen([binary(), "testapp", "echo", *argv], stdout=subprocess.PIPE, text=True)
    # It says one line once it listens.
    return p if p.stdout.readline() else None


def load(*argv):
    r = run([binary(), "testapp", "load", *argv, "--json"], timeout=30)
    doc = json.loads(r.stdout)
    return r.returncode, doc["schema"], doc["data"]


def answers(t):
    status, head, body = split(exchange(API, request("/hello?x=1")))
    doc = json.loads(body)
    t.ok(
        status == 200
        and doc
        == {
            "served_by": "api",
            "peer": None,
            "method": "GET",
            "path": "/hello?x=1",
            "body_bytes": 0,
        },
        "an ordinary request is answered with who served it",
        doc,
    )
    _, _, body = split(exchange(API, request("/", "parley-peer: spiffe://m/service/web")))
    t.ok(json.loads(body)["peer"] == "spiffe://m/service/web", "the peer is said", body)
    status, _, _ = split(exchange(API, request("/status/503")))
    t.ok(status == 503, "/status/503 answers 503", status)
    status, _, _ = split(exchange(API, request("/status/99")))
    t.ok(status == 400, "a knob out of range is 400", status)
    begin = time.monotonic()
    status, _, _ = split(exchange(API, request("/delay/200/status/204")))
    took = time.monotonic() - begin
    t.ok(status == 204 and took >= 0.19, "knobs combine and a delay is kept", (status, took))
    _, _, body = split(exchange(API, request("/bytes/3000000")))
    t.ok(len(body) == 3000000, "/bytes/N has N bytes", len(body))
    status, head, body = split(exchange(API, request("/bytes/5", method="HEAD")))
    t.ok(status == 200 and b"content-length: 5" in head and body == b"", "HEAD has no body", head)
    status, _, _ = split(exchange(API, b"GET / HTTP/1.1\r\n bad\r\n\r\n"))
    t.ok(status == 400, "a malformed request is 400 and the end", status)
    three = request("/a", close=False) + request("/delay/20/b", close=False) + request("/c")
    out = exchange(API, three)
    places = [out.find(b'"path":"/a"'), out.find(b'"path":"/delay/20/b"'), out.find(b'"path":"/c"')]
    t.ok(
        -1 not in places and places == sorted(places),
        "pipelined requests are answered in order",
        out,
    )
    out = exchange(
        API, request("/", "expect: 100-continue", "content-length: 3", method="POST", body=b"abc")
    )
    t.ok(
        out.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200") and b'"body_bytes":3' in out,
        "100-continue comes before the answer",
        out,
    )


def echoes(t):
    blob = os.urandom(700000)
    status, head, body = split(
        exchange(API, request("/echo", f"content-length: {len(blob)}", method="POST", body=blob))
    )
    t.ok(
        status == 200 and f"content-length: {len(blob)}".encode() in head and body == blob,
        "/echo keeps the length and the bytes",
        (status, head, len(body)),
    )
    chunked = b"3\r\nabc\r\n5\r\ndefgh\r\n0\r\nx-sum: 8\r\n\r\n"
    status, head, body = split(
        exchange(API, request("/echo", "transfer-encoding: chunked", method="POST", body=chunked))
    )
    t.ok(
        status == 200
        and b"transfer-encoding: chunked" in head
        and b"content-length" not in head
        and body.endswith(b"0\r\nx-sum: 8\r\n\r\n")
        and b"abc" in body
        and b"defgh" in body,
        "/echo keeps chunks and trailers",
        body,
    )
    out = exchange(
        API,
        request("/upgrade", "connection: upgrade", "upgrade: websocket", close=False)
        + b"hello there",
        half_close=True,
    )
    status, head, body = split(out)
    t.ok(
        status == 101 and b"upgrade: websocket" in head and body == b"hello there",
        "/upgrade switches and echoes to the end",
        out,
    )
    status, _, _ = split(exchange(API, request("/upgrade")))
    t.ok(status == 200, "/upgrade without an upgrade is an ordinary request", status)
    out = exchange(DB, blob, half_close=True)
    t.ok(out == blob, "--tcp echoes to the end of both halves", len(out))


def chains(t, db):
    status, _, _ = split(exchange(WEB, request("/")))
    t.ok(status == 200, "web -> api -> db answers 200", status)
    code, schema, data = load("--url", url(WEB), "--rate", "200", "--for", "1s")
    t.ok(
        code == 0 and schema == "parley.load.v1" and data["requests"] == data["ok"] == 200,
        "a load without failures exits 0",
        data,
    )
    code, _, data = load(
        "--url",
        url(API, "/echo"),
        "--rate",
        "50",
        "--for",
        "1s",
        "--method",
        "POST",
        "--body-bytes",
        "300000",
    )
    t.ok(code == 0 and data["status"] == {"200": 50}, "a load sends bodies", data)
    code, _, data = load("--url", url(API, "/status/503"), "--rate", "50", "--for", "1s")
    t.ok(
        code == 10 and data["failed"] == 50 and data["status"] == {"503": 50},
        "other answers than 2xx are failures, exit 10",
        data,
    )
    code, _, data = load("--url", url(NOBODY), "--rate", "50", "--for", "1s")
    t.ok(code == 10 and data["errors"]["connect"] == 50, "a refused connection is told", data)
    code, _, data = load(
        "--url", url(API, "/delay/200"), "--rate", "10", "--for", "1s", "--connections", "1"
    )
    t.ok(
        code == 0 and data["ok"] == 10 and data["max_ms"] > 900,
        "waiting behind a slow answer is part of the latency",
        data,
    )
    db.send_signal(signal.SIGTERM)
    t.ok(db.wait(10) == 0, "SIGTERM ends an application with 0", db.returncode)
    status, _, body = split(exchange(WEB, request("/")))
    t.ok(
        status == 502 and json.loads(body)["call_failed"] == "status",
        "a call that fails is 502",
        body,
    )


def refuses(t):
    bad = [
        ["echo"],
        ["echo", "--listen", "localhost:80"],
        ["echo", "--listen", f"{HOST}:1", "--tcp", "--call", url(API)],
        ["load"],
        ["load", "--url", "https://127.0.0.1/"],
        ["load", "--url", f"tcp://{HOST}:1"],
        ["load", "--url", url(API), "--rate", "0"],
        ["load", "--url", url(API), "--for", "0s"],
        ["load", "--url", url(API), "--method", "PUT"],
    ]
    codes = [run([binary(), "testapp", *argv]).returncode for argv in bad]
    t.ok(codes == [2] * len(bad), "wrong flags are a usage error", codes)
    r = run([binary(), "testapp", "echo", "--listen", f"{HOST}:{API}"])
    t.ok(r.returncode == 1 and f"{HOST}:{API}" in r.stderr, "a taken port is named", r.stderr)


def main():
    if not os.path.exists(binary()):
        skip_all(f"{binary()} is not built")
    t = Tap()
    apps = []
    try:
        apps.append(start("--listen", f"{HOST}:{DB}", "--name", "db", "--tcp"))
        apps.append(
            start("--listen", f"{HOST}:{API}", "--name", "api", "--call", f"tcp://{HOST}:{DB}")
        )
        apps.append(start("--listen", f"{HOST}:{WEB}", "--name", "web", "--call", url(API)))
        if t.ok(None not in apps, "three applications listen"):
            answers(t)
            echoes(t)
            chains(t, apps[0])
            refuses(t)
    finally:
        codes = []
        for p in apps:
            if p:
                p.terminate()
                codes.append(p.wait(10))
    t.ok(codes == [0, 0, 0], "all of them end with 0", codes)
    return t.done()


sys.exit(main())
