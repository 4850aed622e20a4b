"""HTTP/2 by hand, for tests that must send what no library would: frames over a socket, a client
that collects answers, and an application.

Needs python3-hpack (Debian) for HPACK, the standard library for the rest.
"""

import socket
import struct
import threading
import time

from hpack import Decoder, Encoder

from acceptor import Acceptor

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
SET_MAX_STREAMS, SET_WINDOW, SET_CONNECT = 3, 4, 8
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = 0, 1, 2, 3
STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED, CANCEL, COMPRESSION, CALM = 5, 6, 7, 8, 9, 11


class Gone(Exception):
    """The connection is over."""


class Late(Exception):
    """Nothing came in time."""


def frame(kind, flags, stream, payload=b""):
    return (
        struct.pack(">I", len(payload))[1:]
        + bytes([kind, flags])
        + struct.pack(">I", stream)
        + payload
    )


def settings(**values):
    number = {"streams": SET_MAX_STREAMS, "window": SET_WINDOW, "connect": SET_CONNECT}
    return b"".join(struct.pack(">HI", number[k], v) for k, v in values.items())


class Message:
    """What came on a stream."""

    def __init__(self):
        self.heads = []  # header sections in order: interim ones, the head, the trailers
        self.body = b""
        self.ended = False
        self.reset = None  # error code

    def fields(self, section=-1):
        return dict(self.heads[section]) if self.heads else {}

    def head(self):
        for h in self.heads:
            if not dict(h).get(":status", "").startswith("1"):
                return dict(h)
        return {}

    def status(self):
        return int(self.head().get(":status", 0))


class Peer:
    """One end of a connection. The client has sent its preface when it is made."""

    def __init__(self, sock, server=False, **own):
        self.sock = sock
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.encoder, self.decoder = Encoder(), Decoder()
        self.encoder.header_table_size = 0
        self.input = b""
        self.streams = {}
        self.block = None
        self.goaway = None  # (last stream, error code)
        self.settings = {}
        self.next_id = 1
        self.window = 65535  # for us to send, all streams together
        self.granted, self.used = {}, {}  # by stream
        self.lock = threading.Lock()
        hello = b"" if server else PREFACE
        self.send(hello + frame(SETTINGS, 0, 0, settings(**own)))

    def send(self, data):
        with self.lock:
            try:
                self.sock.sendall(data)
            except OSError as e:
                raise Gone(str(e)) from e

    def headers(self, stream, fields, end=False, flags=END_HEADERS):
        with self.lock:
            block = self.encoder.encode(fields, huffman=False)
        flags |= END_STREAM if end else 0
        self.send(frame(HEADERS, flags, stream, block))

    def data(self, stream, data, end=False):
        """Sends it as the other side's windows allow, reading meanwhile."""
        while True:
            room = min(16384, self.window, self.room(stream))
            part, last = data[:room], len(data) <= room
            if part or last:
                self.window -= len(part)
                self.used[stream] = self.used.get(stream, 0) + len(part)
                self.send(frame(DATA, END_STREAM if end and last else 0, stream, part))
            if last:
                return
            data = data[room:]
            if room == 0:
                self.take(time.monotonic() + 10)

    def room(self, stream):
        first = self.settings.get(SET_WINDOW, 65535)
        return max(0, first + self.granted.get(stream, 0) - self.used.get(stream, 0))

    def request(self, fields, body=None, end=True):
        """Sends a request; its stream. `fields` in order, pseudo fields first."""
        stream, self.next_id = self.next_id, self.next_id + 2
        self.streams[stream] = Message()
        self.headers(stream, fields, end=end and body is None)
        if body is not None:
            self.data(stream, body, end)
        return stream

    def read_frame(self, until):
        while len(self.input) < 9 or len(self.input) < 9 + int.from_bytes(self.input[:3], "big"):
            left = until - time.monotonic()
            if left <= 0:
                raise Late()
            self.sock.settimeout(left)
            try:
                got = self.sock.recv(65536)
            except socket.timeout:
                raise Late() from None
            except OSError as e:
                raise Gone(str(e)) from e
            if not got:
                raise Gone("closed")
            self.input += got
        size = int.from_bytes(self.input[:3], "big")
        kind, flags = self.input[3], self.input[4]
        stream = int.from_bytes(self.input[5:9], "big") & 0x7FFFFFFF
        payload, self.input = self.input[9 : 9 + size], self.input[9 + size :]
        return kind, flags, stream, payload

    def take(self, until):
        """One frame, into the state of its stream. Gives it back."""
        kind, flags, stream, payload = self.read_frame(until)
        if kind == SETTINGS and not flags & ACK:
            for at in range(0, len(payload), 6):
                key, value = struct.unpack(">HI", payload[at : at + 6])
                self.settings[key] = value
            self.send(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            self.send(frame(PING, ACK, 0, payload))
        elif kind == WINDOW:
            more = struct.unpack(">I", payload)[0]
            if stream == 0:
                self.window += more
            else:
                self.granted[stream] = self.granted.get(stream, 0) + more
        elif kind == GOAWAY:
            self.goaway = struct.unpack(">II", payload[:8])
        elif kind in (HEADERS, CONTINUATION):
            self.take_block(kind, flags, stream, payload)
        elif kind == DATA:
            message = self.streams.setdefault(stream, Message())
            message.body += payload
            message.ended |= bool(flags & END_STREAM)
            if payload:
                update = struct.pack(">I", len(payload))
                both = frame(WINDOW, 0, 0, update)
                self.send(both if message.ended else both + frame(WINDOW, 0, stream, update))
        elif kind == RST:
            self.streams.setdefault(stream, Message()).reset = struct.unpack(">I", payload)[0]
        return kind, flags, stream, payload

    def take_block(self, kind, flags, stream, payload):
        if kind == HEADERS:
            self.block = (flags, payload[5:] if flags & 0x20 else payload)
        else:
            self.block = (self.block[0], self.block[1] + payload)
        if not flags & END_HEADERS:
            return
        message = self.streams.setdefault(stream, Message())
        message.heads.append(self.decoder.decode(self.block[1]))
        message.ended |= bool(self.block[0] & END_STREAM)

    def wait(self, what, seconds=10.0):
        """Reads until `what()` is true, the connection is over or time is. Whether it is true."""
        end = time.monotonic() + seconds
        try:
            while not what():
                self.take(end)
        except (Gone, Late):
            pass
        return bool(what())

    def answer(self, stream, seconds=10.0):
        """The message of a stream once it has ended, was reset, or can no longer come."""
        message = self.streams[stream]
        self.wait(lambda: message.ended or message.reset is not None, seconds)
        return message

    def over(self, seconds=10.0):
        """Reads until the other side has closed. False: it has not."""
        end = time.monotonic() + seconds
        try:
            while True:
                self.take(end)
        except Gone:
            return True
        except Late:
            return False

    def close(self):
        self.sock.close()


def dial(address, **own):
    return Peer(socket.create_connection(address, timeout=5), **own)


def get(path, *more, method="GET", authority="a"):
    head = [(":method", method), (":scheme", "http"), (":authority", authority), (":path", path)]
    return head + list(more)


class Call:
    """A request as the application sees it; `peer` and `stream` to answer on."""

    def __init__(self, peer, stream):
        self.peer, self.stream = peer, stream
        self.message = peer.streams[stream]

    def field(self, name):
        return dict(self.message.heads[0]).get(name)

    def path(self):
        return self.field(":path")

    def respond(self, status, *fields, body=b"", trailers=None):
        whole = not body and trailers is None
        self.peer.headers(self.stream, [(":status", str(status)), *fields], end=whole)
        if body:
            self.peer.data(self.stream, body, end=trailers is None)
        if trailers is not None:
            self.peer.headers(self.stream, trailers, end=True)


class App(Acceptor):
    """An HTTP/2 application by prior knowledge. `on_head(call)` when a request's head has come,
    `on_end(call)` when all of it has; either may answer. Keeps every call in `calls`."""

    def __init__(self, address, on_end, on_head=None, on_data=None, **own):
        self.on_end, self.on_head, self.on_data, self.own = on_end, on_head, on_data, own
        self.calls, self.peers = [], []
        super().__init__(address)

    def serve(self, conn):
        peer = None
        try:
            hello = b""
            while len(hello) < len(PREFACE):
                got = conn.recv(len(PREFACE) - len(hello))
                if not got:
                    return
                hello += got
            peer = Peer(conn, server=True, **self.own)
            self.peers.append(peer)
            calls = {}
            while True:
                kind, _, stream, payload = peer.take(time.monotonic() + 60)
                if kind == HEADERS and stream not in calls and peer.streams[stream].heads:
                    calls[stream] = Call(peer, stream)
                    self.calls.append(calls[stream])
                    if self.on_head:
                        self.on_head(calls[stream])
                if kind == DATA and self.on_data:
                    self.on_data(calls[stream], payload)
                if kind in (HEADERS, DATA) and peer.streams[stream].ended:
                    self.on_end(calls[stream])
        except (Gone, Late, OSError):
            pass  # the other side is done with us
        finally:
            conn.close()

    def close(self):
        super().close()
        for peer in self.peers:
            peer.close()
