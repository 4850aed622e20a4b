#!/usr/bin/env python3
"""Rows M and X of the threat tables on raw sockets: a stranger on the mesh port with captured and
forged datagrams, half-open streams and token guesses, and hostile requests to the admin API.

Hosts 1 and 2 are a mesh, host 3 is not. After every case the members' incarnations and the view
are what they were, nobody was answered, and a clean request through the mesh succeeds.

Time limit: 600 s
"""

import hashlib
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import time

import gossip_wire
from lab import Lab, Tap, binary, skip_all, wait_for

PORT = 7400
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
# Runs on host 3: sends each datagram (hex lines on stdin) to the address and says how many answers
# came within half a second of the last.
SENDER = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
gap = float(sys.argv[2])
for line in sys.stdin:
    s.sendto(bytes.fromhex(line.strip()), (sys.argv[1], 7400))
    if gap: time.sleep(gap)
s.settimeout(0.5)
answers = 0
try:
    while True:
        s.recvfrom(2048); answers += 1
except socket.timeout:
    print(answers)
"""


def datagrams(path, source, target):
    """UDP payloads from one address to the other, out of a pcap file of an Ethernet link."""
    with open(path, "rb") as f:
        data = f.read()
    at, found = 24, []
    while at + 16 <= len(data):
        length = struct.unpack_from("<I", data, at + 8)[0]
        frame = data[at + 16 : at + 16 + length]
        at += 16 + length
        if len(frame) < 42 or frame[12:14] != b"\x08\x00" or frame[23] != 17:
            continue
        if socket.inet_ntoa(frame[26:30]) == source and socket.inet_ntoa(frame[30:34]) == target:
            size = struct.unpack_from(">H", frame, 38)[0] - 8
            found.append(frame[42 : 42 + size])
    return found


class Bench:
    def __init__(self, lab, tap):
        self.lab, self.tap = lab, tap
        self.h1, self.h2, self.h3 = lab.host[1], lab.host[2], lab.host[3]

    def state(self):
        """What no stranger may change."""
        rows = []
        for h in (self.h1, self.h2):
            members = h.ask("members") or []
            rows.append(sorted((m["node"], m["status"], m["incarnation"]) for m in members))
        return rows

    def counter(self, event):
        """Host 1's count of this gossip event."""
        text = self.h1.run(
            "curl",
            "-s",
            "--unix-socket",
            f"{self.h1.root}/run/parley/parley.sock",
            "http://p/metrics",
        ).stdout
        name = f'parley_gossip_events_total{{event="{event}"}} '
        return next((int(l.split()[-1]) for l in text.splitlines() if l.startswith(name)), 0)

    def clean(self):
        r = self.h1.run("curl", "-s", "-m", "5", "http://127.0.0.1:9001/")
        return '"served_by":"api"' in r.stdout

    def send(self, packets, to, gap=0):
        r = self.h3.run(
            sys.executable,
            "-c",
            SENDER,
            to.addr,
            str(gap),
            input="\n".join(p.hex() for p in packets),
        )
        return int(r.stdout or -1)

    def row(self, id, name, packets, to=None, event=None, gap=0):
        before = self.state()
        count = self.counter(event) if event else 0
        answers = self.send(packets, to or self.h1, gap)
        counted = not event or wait_for(lambda: self.counter(event) > count, 3)
        after, clean = self.state(), self.clean()
        self.tap.ok(
            answers == 0 and counted and after == before and clean,
            f"{id} {name}",
            f"answers {answers}, counted {counted}, clean {clean}\n{before}\n{after}",
        )


def mesh_of_two(b):
    tap = b.tap
    r = b.h1.parley("init", "--mesh", "lab", "--node", "h1", "--addr", b.h1.addr)
    token = None
    if tap.ok(r.returncode == 0 and b.h1.up(), "host 1 runs", r.stderr + b.h1.log()):
        token = b.h1.parley("token", "create", "-q").stdout.strip()
    r = b.h2.parley("join", token or "", "--node", "h2", "--addr", b.h2.addr)
    if not tap.ok(r.returncode == 0 and b.h2.up(), "host 2 runs", r.stderr + b.h2.log()):
        return False
    b.h2.spawn(binary(), "testapp", "echo", "--listen", "127.0.0.1:8081", "--name", "api", log="e")
    b.h1.config(
        '[service.web]\nlocal = "127.0.0.1:8080"\nhealth = "none"\n'
        '[upstream.api]\nlisten = "127.0.0.1:9001"\n[metrics]\nlisten = "127.0.0.1:7490"\n'
    )
    b.h2.config('[service.api]\nlocal = "127.0.0.1:8081"\nallow = ["web"]\n')
    for h in (b.h2, b.h1):
        h.parley("reload", "--wait")
    return tap.ok(wait_for(b.clean, 10), "a request crosses the mesh", b.h1.log()[-2000:])


def captured(b, count=4):
    path = os.path.join(b.lab.folder, f"gossip-{count}.pcap")
    argv = ["tcpdump", "-i", "eth0", "--immediate-mode", "-U", "-w", path, "udp port 7400"]
    dump = b.h1.spawn(*argv, log="tcpdump.log")
    got = wait_for(
        lambda: os.path.exists(path) and len(datagrams(path, b.h2.addr, b.h1.addr)) >= count, 10
    )
    if count > 1:
        b.tap.ok(got, "datagrams from host 2 to host 1 are captured")
    dump.terminate()
    dump.wait()
    return datagrams(path, b.h2.addr, b.h1.addr)


def rows_m(b, packets):
    rng = random.Random(7)
    one = packets[0]
    noise = [rng.randbytes(n) for n in (0, 1, 24, 25, 41, 600, 1200, 1400, 65507)]
    b.row("M01", "random bytes of nine sizes", noise, event="dropped_malformed")
    flips = []
    for bit in range(0, len(one) * 8):
        changed = bytearray(one)
        changed[bit // 8] ^= 1 << bit % 8
        flips.append(bytes(changed))
    b.row(
        "M02",
        f"every one of {len(flips)} single-bit flips",
        flips,
        event="dropped_auth",
        gap=0.0005,
    )
    b.row("M03", "captured packets replayed at once", packets, event="dropped_replay")
    b.row("M03", "sent to another node", packets, to=b.h2)
    b.row(
        "M05",
        "bare msgpack bombs",
        [b"\xdd\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\x91" * 1200],
    )
    b.row("M15", "every prefix of a valid packet", [one[:n] for n in range(len(one))], gap=0.0005)
    b.row(
        "M15",
        "versions 0 and 255",
        [b"\x00" + one[1:], b"\xff" + one[1:]],
        event="dropped_malformed",
    )
    unknown = one[:5] + rng.randbytes(8) + one[13:]
    b.row("M16", "a sender nobody knows", [unknown] * 50, event="dropped_unknown_sender")
    epoch = one[:13] + b"\xff" * 12 + one[25:]
    b.row(
        "M02",
        "a header that claims the largest epoch and counter",
        [epoch] * 20,
        event="dropped_auth",
    )


def dropped(b):
    kinds = ("malformed", "auth", "replay", "unknown_sender", "quota", "key")
    return sum(b.counter(f"dropped_{kind}") for kind in kinds)


def thefts(b):
    """What a thief of group keys or of one node's keys can say to host 1 (threat model)."""
    lib = gossip_wire.sodium()
    if lib is None:
        b.tap.skip("stolen keys", "no shared libsodium")
        return
    stranger = gossip_wire.Identity(lib)
    h1, h2 = (gossip_wire.Identity(lib, h.root) for h in (b.h1, b.h2))
    group, mesh = gossip_wire.group_keys(b.h1.root)[0], gossip_wire.mesh_id(b.h1.root)
    epochs = (gossip_wire.epoch(b.h2.root), gossip_wire.epoch(b.h1.root))
    ping = bytes([0x92, 0, 0x92, 1, 7])

    def packets(key, group, epochs=epochs, counter=1 << 20):
        make = lambda n: gossip_wire.seal(
            lib, group, key, h2.id, h1, mesh, epochs, counter + n, ping
        )
        return [make(n) for n in range(5)]

    b.row(
        "M10", "the group key, in a member's name", packets(stranger, group), event="dropped_auth"
    )
    b.row(
        "M10",
        "a node's key without the group key",
        packets(h2, os.urandom(32)),
        event="dropped_key",
    )
    b.row(
        "M03",
        "both, for an earlier life of the receiver",
        packets(h2, group, (epochs[0], epochs[1] - 1)),
        event="dropped_auth",
    )
    # The control: what host 2 itself could send is heard, so the refusals above mean something.
    # Its counter is one that host 2 has not come to yet, and will soon have passed.
    counter = int.from_bytes(captured(b, 1)[-1][19:25], "big") + 30
    before, heard = dropped(b), b.counter("datagrams_received")
    b.send(packets(h2, group, counter=counter)[:1], b.h1)
    wait_for(lambda: b.counter("datagrams_received") > heard, 3)
    b.tap.ok(dropped(b) == before, "M10 both keys of host 2 speak for host 2")


def cpu_s(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat") as f:
            total += int(f.read().split()[0])
    return total / 1e9


def flood(b):
    """M01's rate: what 10 000 garbage datagrams cost."""
    rng = random.Random(9)
    pid = int(b.h1.run("pgrep", "-f", f"^{binary()} up --root {b.h1.root}$").stdout.split()[0])
    before = cpu_s(pid)
    b.row("M01", "10 000 random datagrams in a burst", [rng.randbytes(200)] * 10000)
    spent = cpu_s(pid) - before
    b.tap.ok(spent <= 0.25, f"and cost host 1 {spent * 1000:.0f} ms of CPU")


def replay_after_restart(b, packets):
    b.h1.kill()
    b.tap.ok(
        b.h1.up() and wait_for(b.clean, 10), "host 1 is back after kill -9", b.h1.log()[-2000:]
    )
    b.row(
        "M03",
        "captured packets replayed after the receiver's restart",
        packets,
        event="dropped_auth",
    )


def half_open(b):
    """M14: more silent streams than there are places."""
    code = (
        "import socket, sys\nkept = []\n"
        f"at = ('{b.h1.addr}', {PORT})\n"
        "for _ in range(128):\n    kept.append(socket.create_connection(at))\n"
        "print('open', flush=True)\nsys.stdin.readline()\n"
    )
    p = subprocess.Popen(
        b.h3.prefix() + [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    p.stdout.readline()
    good = b.clean() and b.h1.parley("ready").returncode == 0
    p.communicate(b"\n", timeout=10)
    b.tap.ok(good and b.clean(), "M14 128 half-open connections on 7400, traffic goes on")


def with_other_secret(token):
    """The same token with one bit of its secret changed and the checksum made right again."""
    bits = "".join(f"{ALPHABET.index(c):05b}" for c in token[4:].replace("-", ""))
    raw = bytearray(int(bits[i : i + 8], 2) for i in range(0, len(bits) // 8 * 8, 8))
    raw[5] ^= 1
    body = bytes(raw[:-4])
    raw = body + hashlib.blake2b(body, digest_size=32).digest()[:4]
    bits = "".join(f"{byte:08b}" for byte in raw)
    bits += "0" * (-len(bits) % 5)
    return "pj1_" + "".join(ALPHABET[int(bits[i : i + 5], 2)] for i in range(0, len(bits), 5))


def guesses(b):
    """X07: a guessed secret is refused, guessing is slowed down, and the real token still works."""
    token = b.h1.parley("token", "create", "-q").stdout.strip()
    guess = with_other_secret(token)
    said = []
    for _ in range(12):
        r = b.h3.parley("join", guess, "--node", "h3", "--addr", b.h3.addr, "--timeout", "3s")
        said.append(r.stderr)
        if r.returncode == 0:
            break
    wrong = sum("token_wrong" in s for s in said)
    b.tap.ok(
        len(said) == 12 and 1 <= wrong < 12,
        f"X07 12 guesses at once: {wrong} judged, the others not even answered",
        "\n".join(said),
    )
    time.sleep(1.5)  # the limiter gives one more try a second
    r = b.h3.parley("join", token, "--node", "h3", "--addr", b.h3.addr, "--timeout", "5s")
    b.tap.ok(r.returncode == 0 and b.clean(), "X07 the token itself is good afterwards", r.stderr)


def ask_admin(b, request, tcp=False):
    """The status and text of a raw request to host 1's admin socket or metrics listener."""
    where = "('127.0.0.1', 7490)" if tcp else f"'{b.h1.root}/run/parley/parley.sock'"
    family = "AF_INET" if tcp else "AF_UNIX"
    code = f"""
import socket, sys
s = socket.socket(socket.{family}); s.settimeout(5); s.connect({where})
try:
    s.sendall(bytes.fromhex(sys.stdin.read()))
    out = b""
    while True:
        part = s.recv(65536)
        if not part: break
        out += part
except (ConnectionResetError, BrokenPipeError): pass
sys.stdout.write(out.decode("latin1"))
"""
    text = b.h1.run(sys.executable, "-c", code, input=request.hex()).stdout
    return (int(text[9:12]) if text.startswith("HTTP/1.1 ") else 0), text


def rows_x(b):
    get = lambda path, *lines: (
        b"GET "
        + path
        + b" HTTP/1.1\r\nHost: p\r\n"
        + b"".join(x + b"\r\n" for x in lines)
        + b"\r\n"
    )
    post = get(b"/v1/drain").replace(b"GET", b"POST")
    cases = [
        ("X02", "a browser's Origin", get(b"/v1/status", b"Origin: http://evil"), False, {403}),
        ("X02", "a change without the mark", post, False, {403}),
        ("X02", "the API over TCP", get(b"/v1/status"), True, {404}),
        ("X02", "a change over TCP", post[:-2] + b"x-parley: 1\r\n\r\n", True, {404}),
        ("X02", "metrics over TCP", get(b"/metrics"), True, {200}),
        (
            "X06",
            "a path out of the tree",
            get(b"/v1/endpoints/../../etc/passwd"),
            False,
            {400, 404},
        ),
        ("X06", "the same, escaped", get(b"/v1/endpoints/..%2f..%2fetc"), False, {400, 404}),
        ("X06", "a NUL in a name", get(b"/v1/endpoints/a%00b"), False, {400}),
        ("X06", "a name of 4 KiB", get(b"/v1/endpoints/" + b"a" * 4096), False, {400, 404}),
        ("X", "no HTTP at all", b"\x16\x03\x01" + b"\0" * 400, False, {0, 400}),
        ("X", "a head of 1 MiB", get(b"/v1/status", b"X: " + b"a" * (1 << 20)), False, {0, 431}),
        ("X", "two lengths", get(b"/", b"Content-Length: 1", b"Content-Length: 2"), False, {400}),
        (
            "X",
            "a body of 2 GiB announced",
            post[:-2] + b"x-parley: 1\r\nContent-Length: 2147483648\r\n\r\n",
            False,
            {413},
        ),
    ]
    for id, name, request, tcp, want in cases:
        status, text = ask_admin(b, request, tcp)
        state = b.h1.ask("status") or {}
        good = status in want and state.get("state") == "serving" and b.clean()
        b.tap.ok(good, f"{id} {name}: {status}", text[:300])


def secrets_stay(b):
    """X03: nothing the API shows holds a key."""
    shown = ""
    for path in (b"status", b"members", b"services", b"certs", b"tokens", b"check"):
        shown += ask_admin(b, b"GET /v1/" + path + b" HTTP/1.1\r\nHost: p\r\n\r\n")[1]
    kept = []
    for folder, _, names in os.walk(os.path.join(b.h1.root, "var/lib/parley")):
        for name in names:
            if name.endswith(".key") or name == "keyring":
                with open(os.path.join(folder, name)) as f:
                    kept += [word for word in f.read().split() if len(word) >= 32]
    leaked = [word for word in kept if word in shown or word in b.h1.log()]
    b.tap.ok(
        len(kept) >= 4 and not leaked, f"X03 none of {len(kept)} stored secrets is shown or logged"
    )


def main():
    if os.geteuid() != 0:
        skip_all("network namespaces need root")
    for tool in ("ip", "curl", "tcpdump", "pgrep"):
        if not shutil.which(tool):
            skip_all(f"{tool} is not installed (make deps)")
    if not os.path.exists(binary()):
        skip_all("build/parley does not exist (make all)")
    tap = Tap()
    with Lab(3) as lab:
        b = Bench(lab, tap)
        if mesh_of_two(b):
            packets = captured(b)
            rows_m(b, packets)
            thefts(b)
            flood(b)
            half_open(b)
            rows_x(b)
            secrets_stay(b)
            guesses(b)
            replay_after_restart(b, packets)
            for h in (b.h1, b.h2):
                fine = "check failed" not in h.log() and "Sanitizer" not in h.log()
                tap.ok(fine, f"{h.name} met no failed check", h.log()[-2000:])
    return tap.done()


if __name__ == "__main__":
    sys.exit(main())
