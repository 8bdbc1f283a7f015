"""What a machine in a cloud gives the processes on it: keys of its role that change. And a store's gate, which lets in who
has the keys of now."""

import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from proxy import Proxy

ROLES = "/latest/meta-data/iam/security-credentials"
CONTAINER = "/container/keys"
TOKEN = "a-token-of-the-metadata-service"


class Instance(ThreadingHTTPServer):
    """EC2's metadata service (IMDSv2) and ECS's endpoint of container credentials, on one port of 127.0.0.1.

    keys    the pairs that are handed out one after the other; rotate() goes on to the next
    silent  answers 503 to everything
    """

    daemon_threads = True

    def __init__(self, keys):
        self.keys, self.turn, self.silent, self.asked = keys, 0, False, []
        super().__init__(("127.0.0.1", 0), Answers)
        self.address = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def key(self):
        return self.keys[self.turn % len(self.keys)][0]

    def rotate(self):
        self.turn += 1

    def environment(self, way):
        return {"metadata": {"AWS_EC2_METADATA_SERVICE_ENDPOINT": self.address},
                "container": {"AWS_CONTAINER_CREDENTIALS_FULL_URI": self.address + CONTAINER}}[way]

    def credentials(self):
        """Without a session token: SeaweedFS answers InvalidAccessKeyId to one with the keys of its configuration."""
        key, secret = self.keys[self.turn % len(self.keys)]
        return json.dumps({"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": key, "SecretAccessKey": secret, "Token": "",
                           "Expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 300))})


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one piece an answer

    def log_message(self, *arguments):
        pass

    def say(self, text, code=200):
        self.send_response(code)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def answer(self, texts):
        self.server.asked.append(f"{self.command} {self.path}")
        if self.server.silent:
            self.say("", 503)
        elif self.path in texts:
            self.say(texts[self.path])
        else:
            self.say("", 404)

    def do_PUT(self):
        self.answer({"/latest/api/token": TOKEN})

    def do_GET(self):
        texts = {CONTAINER: self.server.credentials()}
        if self.headers.get("x-aws-ec2-metadata-token") == TOKEN:
            texts |= {ROLES: "role", f"{ROLES}/": "role", f"{ROLES}/role": self.server.credentials()}
        self.answer(texts)


EXPIRED = b"<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"


def refusal(status):
    return b"HTTP/1.1 %s\r\nContent-Type: application/xml\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (
        status, len(EXPIRED), EXPIRED)


class Gate(Proxy):
    """In front of a store: who signs with another key than the instance's of now is answered `expired`."""

    def __init__(self, target, instance, expired):
        self.instance, self.expired = instance, expired
        super().__init__(target)

    def refuses(self, piece):
        signed = re.search(rb"Credential=([^/]+)/", piece)
        return self.expired if signed and signed[1].decode() != self.instance.key else None
