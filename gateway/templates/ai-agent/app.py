"""{{name}}: the agent over HTTP. No packages needed: `python3 app.py`."""
import json
import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from agent import Agent, Ollama, Rules

MAX_BODY = 64 << 10
STARTED = time.monotonic()


def make_agent(environ):
    host = environ.get("OLLAMA_HOST")
    return Agent(Ollama(host, environ.get("OLLAMA_MODEL", "llama3.2"), Rules()) if host else Rules())


def make_server(host, port, agent):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def reply(self, status, body):
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self):
            if self.path == "/health":
                return self.reply(200, {"status": "healthy", "service": "{{name}}",
                                        "planner": type(agent.planner).__name__.lower(),
                                        "uptime": round(time.monotonic() - STARTED, 1)})
            return self.reply(404, {"error": 'post {"question": "what is 6 * 7?"} to /ask'})

        def do_POST(self):
            length = int(self.headers.get("Content-Length") or 0)
            if length > MAX_BODY:
                self.close_connection = True
                return self.reply(413, {"error": "the question is larger than 64 KiB"})
            raw = self.rfile.read(length)
            try:
                question = json.loads(raw)["question"]
            except (ValueError, KeyError, TypeError):
                question = None
            if self.path != "/ask" or not isinstance(question, str) or not question.strip():
                return self.reply(400, {"error": 'post {"question": "what is 6 * 7?"} to /ask'})
            return self.reply(200, agent.ask(question))

        def log_message(self, fmt, *args):
            print(json.dumps({"msg": fmt % args}), flush=True)

    return ThreadingHTTPServer((host, port), Handler)


def main():
    server = make_server(os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "{{port}}")),
                         make_agent(os.environ))
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(json.dumps({"msg": "listening", "port": server.server_port}), flush=True)
    server.serve_forever()
    server.server_close()


if __name__ == "__main__":
    main()
