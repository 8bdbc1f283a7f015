"""A worker as its server sees it: `tarn worker` at one end of a socket, frames (src/pool/frame.h) at the other."""

import json
import os
import socket
import struct
import subprocess
import time

import support

CANCEL, DATA, END, LAST, READY, REQUEST, START = b"C", b"D", b"E", b"L", b"R", b"Q", b"S"


class Gone(Exception):
    """The worker closed its socket, which it does when it ends."""


class Hangs(Gone):
    """It says nothing: its server would kill it now."""


class Answer:
    def __init__(self):
        self.start, self.end, self.data, self.last = None, None, b"", False

    @property
    def error(self):
        return self.end.get("error")

    @property
    def message(self):
        return self.end.get("message", "")

    @property
    def text(self):
        return self.data.decode(errors="replace")

    def rows(self):
        """Of CSV without quotes."""
        return [line.split(",") for line in self.text.splitlines()[1:]]


class Worker:
    def __init__(self, manifest, folder, *options, environment=None, patience_s=60):
        self.options, self.log_path = options, folder / f"{support.unique('worker')}.log"
        ours, theirs = socket.socketpair()
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([support.TARN, "worker", str(manifest), *options], stdin=theirs, stdout=subprocess.DEVNULL,
                                            stderr=log, cwd=folder, env=os.environ | (environment or {}))
        theirs.close()
        self.socket = ours
        self.socket.settimeout(patience_s)
        self.ready = None

    def wait_ready(self):
        kind, payload = self.read()
        assert kind == READY, kind
        self.ready = json.loads(payload)
        return self

    def log(self):
        return self.log_path.read_text(errors="replace")

    def read_exactly(self, size):
        parts = bytearray()
        while len(parts) < size:
            try:
                part = self.socket.recv(min(size - len(parts), 1 << 20))
            except TimeoutError:
                raise Hangs(self.log()[-2000:]) from None
            except ConnectionError as error:
                raise Gone(str(error)) from None
            if not part:
                raise Gone(self.log()[-2000:])
            parts += part
        return bytes(parts)

    def read(self):
        size, kind = struct.unpack("<Ic", self.read_exactly(5))
        return kind, self.read_exactly(size)

    def send(self, kind, payload=b""):
        try:
            self.socket.sendall(struct.pack("<Ic", len(payload), kind) + payload)
        except ConnectionError as error:
            raise Gone(str(error)) from None

    def request(self, sql=None, op="query", **members):
        self.send(REQUEST, json.dumps({"op": op, **({"sql": sql} if sql is not None else {}), **members}).encode())

    def answer(self, keep=8 << 20):
        answer = Answer()
        while True:
            kind, payload = self.read()
            if kind == START:
                assert answer.start is None and not answer.data
                answer.start = json.loads(payload)
            elif kind == DATA:
                assert answer.start is not None
                answer.data += payload[:max(0, keep - len(answer.data))]
            else:
                assert kind in (END, LAST), kind
                answer.end, answer.last = json.loads(payload), kind == LAST
                return answer

    def ask(self, sql=None, op="query", **members):
        self.request(sql, op, **members)
        return self.answer()

    def alive(self):
        return self.process.poll() is None

    def statm(self):
        return [int(n) * os.sysconf("SC_PAGE_SIZE") for n in open(f"/proc/{self.process.pid}/statm").read().split()]

    def memory(self):
        _, resident, shared, *_ = self.statm()
        return resident - shared

    def mapped(self):
        """What it may write to and is its own, resident or not."""
        return self.statm()[5]

    def end(self):
        """Closes the socket; how it ended."""
        self.socket.close()
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
            raise

    def kill(self):
        self.socket.close()
        if self.alive():
            self.process.kill()
        self.process.wait(10)
        time.sleep(0)
