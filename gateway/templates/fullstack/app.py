"""{{name}}: a page, an API and a database. No packages needed: `python3 app.py`."""
import json
import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from store import Store

MAX_BODY = 64 << 10
STARTED = time.monotonic()
PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "static", "index.html")


def make_server(host, port, store):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def send(self, status, content_type, data):
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def reply(self, status, body):
            self.send(status, "application/json", json.dumps(body).encode())

        def task_id(self):
            """The number in /api/tasks/<number>, None for any other path."""
            parts = self.path.strip("/").split("/")
            ok = len(parts) == 3 and parts[:2] == ["api", "tasks"] and parts[2].isdigit() and len(parts[2]) < 19
            return int(parts[2]) if ok else None

        def body(self):
            """The JSON object that was sent, {} when it is none; None when it is too large."""
            length = int(self.headers.get("Content-Length") or 0)
            if length > MAX_BODY:
                self.close_connection = True
                return None
            try:
                value = json.loads(self.rfile.read(length) or b"{}")
            except ValueError:
                value = {}
            return value if isinstance(value, dict) else {}

        def do_GET(self):
            if self.path == "/":
                with open(PAGE, "rb") as page:
                    return self.send(200, "text/html; charset=utf-8", page.read())
            if self.path == "/health":
                ok = store.check()
                return self.reply(200 if ok else 503, {
                    "status": "healthy" if ok else "unhealthy", "service": "{{name}}",
                    "database": "ok" if ok else "not readable", "uptime": round(time.monotonic() - STARTED, 1)})
            if self.path == "/api/tasks":
                return self.reply(200, {"tasks": store.all()})
            return self.reply(404, {"error": "there is nothing here"})

        def do_POST(self):
            body = self.body()
            if body is None:
                return self.reply(413, {"error": "the body is larger than 64 KiB"})
            title = body.get("title")
            if self.path != "/api/tasks" or not isinstance(title, str) or not title.strip():
                return self.reply(400, {"error": 'post {"title": "milk"} to /api/tasks'})
            return self.reply(201, store.add(title.strip()))

        def do_PUT(self):
            body = self.body()
            if body is None:
                return self.reply(413, {"error": "the body is larger than 64 KiB"})
            if not isinstance(body.get("done"), bool):
                return self.reply(400, {"error": 'send {"done": true}'})
            found = self.task_id() is not None and store.finish(self.task_id(), body["done"])
            return self.reply(200 if found else 404, {"ok": found})

        def do_DELETE(self):
            found = self.task_id() is not None and store.remove(self.task_id())
            self.reply(200 if found else 404, {"ok": found})

        def log_message(self, fmt, *args):
            print(json.dumps({"msg": fmt % args}), flush=True)

    return ThreadingHTTPServer((host, port), Handler)


def main():
    store = Store(os.path.join(os.environ.get("DATA_DIR", "data"), "tasks.db"))
    server = make_server(os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "{{port}}")), store)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(json.dumps({"msg": "listening", "port": server.server_port}), flush=True)
    server.serve_forever()
    server.server_close()


if __name__ == "__main__":
    main()
