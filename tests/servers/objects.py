"""A store that speaks as much of S3 as reading takes: a folder's files as the objects of every bucket. Prints its port.

    objects.py FOLDER

With the bucket 127 and the endpoint 0.0.1:PORT its virtual host is 127.0.0.1:PORT, so that no name must be resolved."""

import http.server
import os
import sys
import time
import urllib.parse
from email.utils import formatdate
from xml.sax.saxutils import escape

FOLDER = sys.argv[1]


class Objects(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_HEAD(self):
        self.answer_object(self.path, head=True)

    def do_GET(self):
        url = urllib.parse.urlparse(self.path)
        query = urllib.parse.parse_qs(url.query)
        if "list-type" in query:
            self.answer_list(query.get("prefix", [""])[0])
        else:
            self.answer_object(url.path, head=False)

    def answer_list(self, prefix):
        found = []
        for base, _, names in os.walk(FOLDER):
            paths = [os.path.join(base, n) for n in names]
            found += [(os.path.relpath(p, FOLDER), os.stat(p)) for p in paths]
        rows = "".join(f"<Contents><Key>{escape(key)}</Key><LastModified>{time.strftime('%Y-%m-%dT%H:%M:%S.000Z', time.gmtime(st.st_mtime))}"
                       f"</LastModified><Size>{st.st_size}</Size></Contents>" for key, st in sorted(found) if key.startswith(prefix))
        self.answer(200, f'<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated>{rows}</ListBucketResult>'.encode(), {})

    def answer_object(self, path, head):
        path = os.path.join(FOLDER, urllib.parse.unquote(path).lstrip("/"))
        if not os.path.isfile(path):
            self.answer(404, b"", {})
            return
        with open(path, "rb") as file:
            data = file.read()
        headers = {"Last-Modified": formatdate(os.stat(path).st_mtime, usegmt=True), "Accept-Ranges": "bytes"}
        asked = self.headers.get("Range")
        if asked and not head:
            first, last = asked.split("=")[1].split("-")
            last = min(int(last or len(data)), len(data) - 1)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            self.answer(206, data[int(first): last + 1], headers)
        else:
            self.answer(200, data, headers, head)

    def answer(self, status, body, headers, head=False):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not head:
            self.wfile.write(body)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Objects)
print(server.server_address[1], flush=True)
server.serve_forever()
