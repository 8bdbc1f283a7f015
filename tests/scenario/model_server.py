"""A language model's server that says what it is told to say: Anthropic's Messages API and chat completions, and their bad
days. It remembers each request. What it says is a plan: one answer a request, the last one again and again. An answer is a
text, which becomes the API's own, or a function of the request's handler, which writes what it likes."""

import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ANTHROPIC, OPENAI = "/v1/messages", "/v1/chat/completions"


class ModelServer:
    def __init__(self, certificate=None, key=None):
        self.requests, self.plan, self.lock = [], ["SELECT 1 AS one"], threading.Lock()
        self.stopping = threading.Event()
        self.server = Server(("127.0.0.1", 0), type("Handler", (Handler,), {"model": self}))
        self.server.daemon_threads = True
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self.server.server_address[1]}"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def say(self, *plan):
        with self.lock:
            self.plan, self.requests = list(plan), []

    def next(self, request):
        with self.lock:
            self.requests.append(request)
            return self.plan.pop(0) if len(self.plan) > 1 else self.plan[0]

    def prompts(self):
        """Of each request what the model is told and asked, as texts: [system, user, model, user...]."""
        told = []
        for request in self.requests:
            body = request["body"]
            system = [body["system"]] if "system" in body else []
            told.append(system + [m["content"] for m in body["messages"]])
        return told

    def stop(self):
        self.stopping.set()
        self.server.shutdown()
        self.server.server_close()


class Server(ThreadingHTTPServer):
    request_queue_size = 128  # a crowd comes at once


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    model = None

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = self.model.next({"path": self.path, "headers": {k.lower(): v for k, v in self.headers.items()}, "body": body})
        if isinstance(answer, str):
            answer = text(answer)
        try:
            answer(self)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def reply(self, status, body, content_type="application/json", **headers):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def is_anthropic(self):
        return self.path == ANTHROPIC

    def log_message(self, *_):
        pass


# ---- answers


def whole(handler, said, stop=None):
    """The API's own answer with this text."""
    if handler.is_anthropic():
        return {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [{"type": "text", "text": said}],
                "stop_reason": stop or "end_turn", "stop_sequence": None, "usage": {"input_tokens": 100, "output_tokens": 7}}
    return {"id": "c-1", "object": "chat.completion", "model": "m", "usage": {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107},
            "choices": [{"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": stop or "stop"}]}


def text(said, stop=None):
    return lambda handler: handler.reply(200, json.dumps(whole(handler, said, stop)).encode())


def status(code, error_type="api_error", message="no", **headers):
    body = json.dumps({"type": "error", "error": {"type": error_type, "message": message}}).encode()
    return lambda handler: handler.reply(code, body, **headers)


def raw(body, content_type="application/json", code=200, **headers):
    return lambda handler: handler.reply(code, body, content_type, **headers)


def json_of(value):
    return raw(json.dumps(value).encode())


def slowly(seconds, said="SELECT 1 AS one"):
    """Thinks for that long; ends early where the server does."""
    def answer(handler):
        handler.model.stopping.wait(seconds)
        text(said)(handler)
    return answer


def dripping(seconds):
    """Headers at once, then a space at a time, and never an end."""
    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.end_headers()
        end = time.monotonic() + seconds
        while time.monotonic() < end and not handler.model.stopping.wait(0.05):
            handler.wfile.write(b" ")
            handler.wfile.flush()
        handler.close_connection = True
    return answer


def cut(handler):
    """Promises more than it sends."""
    body = json.dumps(whole(handler, "SELECT 1 AS one")).encode()
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body[: len(body) // 2])
    handler.close_connection = True


def half(handler):
    """Half of the JSON, as if it were whole."""
    body = json.dumps(whole(handler, "SELECT 1 AS one")).encode()
    handler.reply(200, body[: len(body) // 2])


def hang_up(handler):
    handler.close_connection = True


def huge(handler):
    handler.reply(200, json.dumps(whole(handler, "SELECT 1 -- " + "x" * (5 << 20))).encode())
