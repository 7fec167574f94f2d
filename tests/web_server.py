"""Web server of one file, in a process of its own, that behaves as its address says.

`/cut,ok/any/w.pth` ends the first request in the middle and serves the following ones. It is also a proxy, and the
Hugging Face hub: a proxy's request has another host in front, and `/cut,ok/owner/name/resolve/COMMIT/w.pth` comes with
the headers of the hub. `/log` lists the requests; `/open` opens the gate.
"""

import contextlib
import email.utils
import hashlib
import json
import random
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

PAYLOAD = random.Random(0).randbytes(300_000)
SHA256 = hashlib.sha256(PAYLOAD).hexdigest()
PAGE = b"<!DOCTYPE html><title>Log in</title>"
gate = threading.Event()
counts: Counter[str] = Counter()
log: list[tuple[str, str, str | None]] = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = urlsplit(self.path).path
        if path == "/log":
            return self.reply(200, json.dumps(log).encode())
        if path == "/open":
            gate.set()
            return self.reply(200, b"")
        log.append((self.command, path, self.headers.get("Range")))
        behaviors = path.split("/")[1].split(",")
        behavior = behaviors[min(counts[path], len(behaviors) - 1)]
        if self.command == "GET":
            counts[path] += 1
        with contextlib.suppress(ConnectionError):
            getattr(self, behavior)()

    def reply(self, status, body, length=None, **headers):
        self.send_response(status)
        headers = {"Content_Type": "application/octet-stream", "Content_Length": len(body), **headers}
        if "/resolve/" in self.path:
            headers |= {"X_Repo_Commit": self.path.split("/resolve/")[1].split("/")[0], "ETag": f'"{SHA256}"'}
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:length])
        self.close_connection = length is not None

    def ok(self, length=None, body=PAYLOAD):
        asked = self.headers.get("Range")
        if not asked:
            return self.reply(200, body, length)
        start = int(asked.removeprefix("bytes=").split("-")[0])
        if start >= len(body):
            return self.reply(416, b"")
        self.reply(206, body[start:], length, Content_Range=f"bytes {start}-{len(body) - 1}/{len(body)}")

    def cut(self):
        self.ok(length=100_000)

    def norange(self):
        self.reply(200, PAYLOAD)

    def wrong(self):
        self.ok(body=bytes(len(PAYLOAD)))

    def short(self):
        self.ok(body=PAYLOAD[:1000])

    def missing(self):
        self.reply(404, b"")

    def busy(self):
        self.reply(429, b"", Retry_After=0)

    def dated(self):
        self.reply(503, b"", Retry_After=email.utils.formatdate(usegmt=True))

    def gated(self):
        self.reply(403, b"", X_Error_Code="GatedRepo")

    def later(self):
        self.reply(429, b"", Retry_After=9999)

    def broken(self):
        self.reply(503, b"")

    def html(self):
        self.reply(200, PAGE, Content_Type="text/html; charset=utf-8")

    def page(self):
        self.reply(200, PAGE)

    def stall(self):
        self.ok(length=50_000)
        time.sleep(20)

    def gate(self):
        self.ok(length=50_000)
        gate.wait(20)
        self.wfile.write(PAYLOAD[50_000:])

    def hang(self):
        time.sleep(20)

    def log_message(self, *arguments):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    sys.stdin.close()
    server.serve_forever()
