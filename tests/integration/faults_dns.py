"""Row N32 of the fault catalogue: a name server that answers in every wrong way, on the loopback of
a host that has nothing but names of peers to go by.
"""

import os
import re
import signal
import sys

from lab import binary, wait_for

# name -> the address that its first answer gives
GOOD = {"nx": 101, "servfail": 102, "silent": 103, "loop": 104, "cut": 105, "moves": 106}
MOVED = 107
MANY, MANY_COUNT, MANY_KEPT = 120, 100, 8
# argv: folder. Names answer well until the file "bad" is there, then each as it is called.
SERVER = r"""
import os, socket, struct, sys, threading
folder, good, moved, many = sys.argv[1], eval(sys.argv[2]), int(sys.argv[3]), eval(sys.argv[4])

def record(kind, data):
    return struct.pack(">HHHIH", 0xC00C, kind, 1, 0, len(data)) + data

def answer(q, stream):
    end = q.index(b"\0", 12) + 1
    name = q[13 : 13 + q[12]].decode()
    kind = struct.unpack(">H", q[end : end + 2])[0]
    bad = os.path.exists(os.path.join(folder, "bad"))
    with open(os.path.join(folder, "asked"), "a") as f:
        f.write(f"{'bad' if bad else 'good'} {name} {'tcp' if stream else 'udp'}\n")
    code, records, flags = 0, [], 0x8180
    numbers = list(range(many[0], many[0] + many[1])) if name == "many" else [good.get(name, 0)]
    if bad and name == "silent":
        return None
    if bad and name in ("nx", "servfail"):
        code, numbers = {"nx": 3, "servfail": 2}[name], []
    if bad and name == "moves":
        numbers = [moved]
    if bad and name == "loop":
        records, numbers = [record(5, b"\xc0\x0c")], []
    if kind == 1:
        records += [record(1, bytes([10, 77, 0, n])) for n in numbers]
    count = len(records)
    if len(records) > 20 and not stream:
        flags, records, count = flags | 0x200, [], 0
    if bad and name == "cut":
        records, count = [], 1
    head = q[:2] + struct.pack(">HHHHH", flags | code, 1, count, 0, 0)
    return head + q[12 : end + 4] + b"".join(records)

def exactly(conn, n):
    data = b""
    while len(data) < n:
        more = conn.recv(n - len(data))
        if not more:
            raise OSError("ended")
        data += more
    return data

def serve(conn):
    try:
        while True:
            q = exactly(conn, struct.unpack(">H", exactly(conn, 2))[0])
            a = answer(q, True)
            if a:
                conn.sendall(struct.pack(">H", len(a)) + a)
    except OSError:
        conn.close()

def streams():
    listener = socket.create_server(("127.0.0.1", 53), backlog=64)
    while True:
        conn, _ = listener.accept()
        threading.Thread(target=serve, args=(conn,), daemon=True).start()

threading.Thread(target=streams, daemon=True).start()
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", 53))
while True:
    q, peer = udp.recvfrom(4096)
    a = answer(q, False)
    if a:
        udp.sendto(a, peer)
"""
# A resolv.conf of its own, seen by this process alone.
BIND = 'mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'


def counted(host):
    """The last numbers of the addresses that packets have been sent to, since the last `count`."""
    text = host.run("nft", "list", "table", "inet", "names").stdout
    return {
        int(n)
        for n, p in re.findall(r"daddr 10\.77\.0\.(\d+) counter packets (\d+)", text)
        if p != "0"
    }


def count(host, numbers):
    """Counts from now on; nobody of the mesh is heard."""
    host.run("nft", "delete", "table", "inet", "names")
    rules = "table inet names { chain in { type filter hook input priority 0; "
    rules += "ip saddr { 10.77.0.1, 10.77.0.2 } drop; }; "
    rules += "chain out { type filter hook output priority 0; "
    rules += " ".join(f"ip daddr 10.77.0.{n} counter;" for n in numbers)
    rules += " ip daddr 10.77.0.100-10.77.0.254 tcp flags syn reject with tcp reset; }; }\n"
    r = host.run("nft", "-f", "-", input=rules)
    assert r.returncode == 0, r.stderr


def n32(site, tap):
    h = site.h3
    names = list(GOOD) + ["many"]
    many = range(MANY, MANY + MANY_COUNT)
    numbers = list(GOOD.values()) + [MOVED] + list(many)
    with open(site.path("resolv.conf"), "w") as f:
        f.write("nameserver 127.0.0.1\n")
    argv = [sys.executable, "-c", SERVER, site.lab.folder, repr(GOOD), str(MOVED)]
    server = h.spawn(*argv, repr((MANY, MANY_COUNT)), log="names")
    h.kill(signal.SIGTERM)
    stored = os.path.join(h.root, "var/lib/parley/peers")
    if os.path.exists(stored):
        os.unlink(stored)
    main = os.path.join(h.root, "etc/parley/parley.toml")
    with open(main) as f:
        usual = f.read()
    with open(main, "w") as f:
        peers = "peers = [%s]\n" % ", ".join(f'"{n}.lab"' for n in names)
        f.write(re.sub(r"(?m)^peers = .*\n", peers, usual))
    count(h, numbers)
    up = [binary(), "up", "--root", h.root]
    argv = ["unshare", "-m", "sh", "-c", BIND, "sh", site.path("resolv.conf"), *up]
    h.agent = h.spawn(*argv, log="h3.log")
    wanted = set(GOOD.values()) | set(many[:MANY_KEPT])
    told = wait_for(lambda: counted(h) == wanted, 10)
    tap.ok(
        told,
        "N32: peers are called by name, of 100 answers the first, which came by TCP",
        f"{sorted(counted(h))}\n{h.log()[-2000:]}",
    )
    asked = lambda: open(site.path("asked")).read().split("\n")
    with open(site.path("bad"), "w"):
        pass
    answers = []
    refreshed = lambda: answers.append(h.parley("status").returncode) or all(
        asked().count(f"bad {n} udp") >= (4 if n == "silent" else 2) for n in GOOD
    )
    ended = wait_for(refreshed, 20)
    tap.ok(ended, "an answer is asked for afresh, whatever its life", asked()[-40:])
    tap.ok(answers and set(answers) == {0}, "and nothing waits for a name server", answers)
    count(h, numbers)
    wanted |= {MOVED}
    wanted -= {GOOD["moves"]}
    kept = wait_for(lambda: counted(h) >= wanted, 20)
    tap.ok(
        kept,
        "behind NXDOMAIN, SERVFAIL, silence, a loop and half an answer the last good one stays, "
        "and a changed one is taken",
        f"missing {sorted(wanted - counted(h))}\n{h.log()[-2000:]}",
    )
    h.kill(signal.SIGTERM)
    server.kill()
    server.wait()
    h.run("nft", "delete", "table", "inet", "names")
    with open(main, "w") as f:
        f.write(usual)
    h.up()
    site.serves()
