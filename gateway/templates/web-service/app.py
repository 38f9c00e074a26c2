"""{{name}}: a small JSON service. No packages needed: `python3 app.py`."""
import json
import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MAX_BODY = 1 << 20
STARTED = time.monotonic()


class Items:
    """The things this service keeps, in memory, safe to use from many threads."""

    def __init__(self):
        self._lock = threading.Lock()
        self._items = {}
        self._next = 1

    def all(self):
        with self._lock:
            return list(self._items.values())

    def get(self, item_id):
        with self._lock:
            return self._items.get(item_id)

    def add(self, title):
        with self._lock:
            item = {"id": self._next, "title": title}
            self._items[self._next] = item
            self._next += 1
            return item

    def remove(self, item_id):
        with self._lock:
            return self._items.pop(item_id, None)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    items = Items()

    def reply(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def item_id(self):
        """The number in /api/items/<number>, None for any other path."""
        parts = self.path.split("?")[0].strip("/").split("/")
        if len(parts) == 3 and parts[:2] == ["api", "items"] and parts[2].isdigit():
            return int(parts[2])
        return None

    def do_GET(self):
        path = self.path.split("?")[0]
        if path == "/health":
            self.reply(200, {"status": "healthy", "service": "{{name}}",
                             "uptime": round(time.monotonic() - STARTED, 1)})
        elif path == "/":
            self.reply(200, {"service": "{{name}}", "endpoints": ["/health", "/api/items", "/api/items/<id>"]})
        elif path == "/api/items":
            self.reply(200, {"items": self.items.all()})
        elif self.item_id() is not None and self.items.get(self.item_id()):
            self.reply(200, self.items.get(self.item_id()))
        else:
            self.reply(404, {"error": "there is nothing at " + path})

    def do_POST(self):
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_BODY:
            self.close_connection = True
            return self.reply(413, {"error": "the body is larger than 1 MiB"})
        raw = self.rfile.read(length)
        if self.path != "/api/items":
            return self.reply(404, {"error": "post to /api/items"})
        try:
            title = json.loads(raw)["title"]
        except (ValueError, KeyError, TypeError):
            title = None
        if not isinstance(title, str) or not title.strip():
            return self.reply(400, {"error": 'send JSON such as {"title": "milk"}'})
        return self.reply(201, self.items.add(title.strip()))

    def do_DELETE(self):
        if self.item_id() is not None and self.items.remove(self.item_id()):
            self.reply(200, {"removed": self.item_id()})
        else:
            self.reply(404, {"error": "there is no such item"})

    def log_message(self, fmt, *args):
        print(json.dumps({"msg": fmt % args, "peer": self.client_address[0]}), flush=True)


def make_server(host, port):
    return ThreadingHTTPServer((host, port), Handler)


def main():
    server = make_server(os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "{{port}}")))
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(json.dumps({"msg": "listening", "port": server.server_port}), flush=True)
    server.serve_forever()
    server.server_close()


if __name__ == "__main__":
    main()
