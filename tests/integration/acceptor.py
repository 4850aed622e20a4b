"""A listening socket, and a thread for each connection: for applications and relays of tests."""

import socket
import threading


class Acceptor:
    """Who derives from it has serve(conn), which also closes the connection."""

    def __init__(self, address, backlog=128):
        self.listener = socket.create_server(address, backlog=backlog)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(conn,), daemon=True).start()

    def close(self):
        self.listener.close()
