"""The applications of run_faults.py, as texts: they run in a host's network namespace."""

# argv: name, folder. Every request is noted before it is answered as its path asks for.
APP = r"""
import base64, hashlib, os, socket, struct, sys, threading, time
name, folder = sys.argv[1], sys.argv[2]
count = 0
lock = threading.Lock()

def note(text):
    with open(os.path.join(folder, "seen-" + name), "a") as f:
        f.write(text + "\n")

def reset(conn):
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    conn.close()

def serve(conn):
    global count
    reader = conn.makefile("rb", buffering=0)
    while True:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = reader.read(1)
            if not byte:
                return
            head += byte
        line = head.split(b"\r\n")[0].decode()
        path = line.split(" ")[1]
        length = 0
        for field in head.lower().split(b"\r\n"):
            if field.startswith(b"content-length:"):
                length = int(field.split(b":")[1])
        note(line)
        if path.startswith("/upload"):
            got = 0
            while got < length:
                try:
                    data = reader.read(65536)
                except OSError:
                    data = b""
                if not data:
                    break
                got += len(data)
            if got < length:
                note("upload cut")
                return
        elif length:
            reader.read(length)
        if path.startswith("/reset-head"):
            conn.sendall(b"HTTP/1.1 200 OK\r\nconte")
            return reset(conn)
        if path.startswith("/reset-at-once"):
            return reset(conn)
        if path.startswith("/reset-body"):
            conn.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
            time.sleep(0.2)
            return reset(conn)
        if path.startswith("/silent"):
            return reader.read(1)
        if path.startswith("/stall"):
            conn.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
            try:
                reader.read(1)
            except OSError:
                pass
            note("stall ended")
            return
        if path.startswith("/drip"):
            conn.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")
            for _ in range(5):
                conn.sendall(b"x")
                time.sleep(0.7)
            continue
        if path.startswith("/trickle"):
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            conn.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 400\r\n\r\n")
            for _ in range(400):
                conn.sendall(b"x")
                time.sleep(0.005)
            note("trickle done")
            continue
        if path.startswith("/websocket"):
            fields = [f.partition(b":") for f in head.split(b"\r\n")]
            key = [v.strip() for n, _, v in fields if n.lower() == b"sec-websocket-key"][0]
            key = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
            conn.sendall(b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: websocket\r\n")
            conn.sendall(b"sec-websocket-accept: " + base64.b64encode(key) + b"\r\n\r\n")
            while True:
                data = reader.read(65536)
                if not data:
                    return
                conn.sendall(data)
        if path.startswith("/big"):
            conn.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 50000000\r\n\r\n")
            try:
                for _ in range(500):
                    conn.sendall(b"x" * 100000)
            except OSError:
                note("big cut")
            return
        if path.startswith("/late"):
            note(path[1:] + " begun")
            while not os.path.exists(os.path.join(folder, "go-" + path[1:])):
                time.sleep(0.02)
        text = f"{name} {line}".encode()
        conn.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(text) + text)
        with lock:
            count += 1
            close = path.startswith("/tenth") and count % 10 == 0
        if close:
            return

def guard(conn):
    try:
        serve(conn)
    except OSError:
        pass
    conn.close()

listener = socket.create_server(("127.0.0.1", 8081), backlog=1024)
while True:
    conn, _ = listener.accept()
    threading.Thread(target=guard, args=(conn,), daemon=True).start()
"""
ECHO = r"""
import socket, threading
def serve(conn):
    try:
        while True:
            data = conn.recv(65536)
            if not data:
                conn.sendall(b"end")
                break
            conn.sendall(data)
    except OSError:
        pass
    conn.close()
listener = socket.create_server(("127.0.0.1", 8082), backlog=1024)
while True:
    conn, _ = listener.accept()
    threading.Thread(target=serve, args=(conn,), daemon=True).start()
"""
