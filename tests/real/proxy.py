"""A TCP proxy that gives its clients bad days: slow ones, cut connections, lost answers, and HTTP errors."""

import random
import select
import socket
import threading
import time


class Proxy:
    """Forwards to `target` (HOST:PORT) until it is told otherwise. Every setting holds for new and open connections.

    rate        bytes a second in each direction and connection; None: no bound
    delay_s     before each piece is passed on
    cut         the share of pieces at which a connection is cut instead: of what the client sends, or of the answers
    answer_cut  the same, of the answers alone: the server has done what the client is never told
    trap        texts that clients send, in this order: the piece with the last one is passed on, and the connection cut at
                its answer; once
    refuse      the share of new connections that get `refusal` as their answer, or are closed where it is empty
    """

    def __init__(self, target, seed=1):
        host, port = target.rsplit(":", 1)
        self.target = (host, int(port))
        self.rate, self.delay_s, self.cut, self.answer_cut, self.refuse, self.refusal = None, 0, 0, 0, 0, b""
        self.cuts = self.refused = 0
        self.trap = []
        self.random = random.Random(seed)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.open = True
        threading.Thread(target=self.accept, daemon=True).start()

    def fine(self):
        self.rate, self.delay_s, self.cut, self.answer_cut, self.refuse = None, 0, 0, 0, 0

    def close(self):
        self.open = False
        self.listener.close()

    def accept(self):
        while self.open:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        with client:
            if self.random.random() < self.refuse:
                self.refused += 1
                if self.refusal:
                    self.answer(client)
                return
            try:
                with socket.create_connection(self.target, timeout=10) as server:
                    self.forward(client, server)
            except OSError:
                pass

    def answer(self, client):
        """To the head of an HTTP request, and whatever body follows at once."""
        try:
            client.settimeout(5)
            head = b""
            while b"\r\n\r\n" not in head:
                piece = client.recv(65536)
                if not piece:
                    return
                head += piece
            client.sendall(self.refusal)
            client.shutdown(socket.SHUT_WR)
            while client.recv(65536):
                pass
        except OSError:
            pass

    def spring(self, piece):
        """Is this the piece that the trap was set for?"""
        at = 0
        while self.trap and (found := piece.find(self.trap[0], at)) >= 0:
            at = found + len(self.trap.pop(0))
        return not self.trap

    def refuses(self, piece):
        """What the client is answered instead of the server's word; None: nothing."""
        return None

    def forward(self, client, server):
        trapped = False
        while self.open:
            ready, _, _ = select.select([client, server], [], [], 1)
            for side in ready:
                piece = side.recv(16384 if self.rate else 1 << 18)
                if not piece:
                    return
                from_server = side is server
                answer = None if from_server else self.refuses(piece)
                if answer:
                    self.refused += 1
                    client.sendall(answer)
                    return
                if not from_server and self.trap:
                    trapped = self.spring(piece)
                elif from_server and trapped:
                    self.cuts += 1
                    return
                if self.random.random() < self.cut or (from_server and self.random.random() < self.answer_cut):
                    self.cuts += 1
                    return
                if self.delay_s:
                    time.sleep(self.delay_s)
                if self.rate:
                    time.sleep(len(piece) / self.rate)
                (client if from_server else server).sendall(piece)


SLOW_DOWN = (b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nContent-Length: 78\r\nConnection: close\r\n\r\n"
             b"<Error><Code>SlowDown</Code><Message>Please reduce your rate</Message></Error>")
