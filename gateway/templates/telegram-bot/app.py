"""{{name}}: a Telegram bot by long polling. No packages needed: `TELEGRAM_BOT_TOKEN=… python3 app.py`."""
import json
import os
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMANDS = {"start": "Say hello", "help": "List the commands", "echo": "Repeat a text", "time": "Tell the time (UTC)"}


def answer(text):
    """The reply to one message's text: all behaviour of the bot, without any network."""
    word, _, rest = text.strip().partition(" ")
    command = word.partition("@")[0]
    if command == "/start":
        return "Hello, I am {{name}}. Try /help."
    if command == "/help":
        return "\n".join("/%s - %s" % item for item in COMMANDS.items())
    if command == "/echo":
        return rest.strip() or "Write a text after /echo."
    if command == "/time":
        return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    if command.startswith("/"):
        return "I do not know %s. Try /help." % command
    return "You wrote: " + text


class Telegram:
    def __init__(self, token, base):
        self._base = "%s/bot%s/" % (base.rstrip("/"), token)

    def call(self, method, params, timeout=15):
        request = urllib.request.Request(self._base + method, json.dumps(params).encode(),
                                         {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as reply:
                return json.load(reply)["result"]
        except urllib.error.HTTPError as error:
            with error:
                body = json.loads(error.read() or b"{}")
            raise TelegramError(error.code, body.get("description", ""), body.get("parameters", {}))


class TelegramError(Exception):
    def __init__(self, code, description, parameters):
        super().__init__("%d %s" % (code, description))
        self.code = code
        self.wait = parameters.get("retry_after", 3)


class Bot:
    def __init__(self, telegram):
        self.telegram = telegram
        self.offset = 0
        self.last_poll = None
        self.error = None
        self.stopping = threading.Event()

    def handle(self, update):
        message = update.get("message") or {}
        if message.get("text"):
            self.telegram.call("sendMessage", {"chat_id": message["chat"]["id"], "text": answer(message["text"])[:4096]})

    def poll(self, timeout=25):
        updates = self.telegram.call("getUpdates", {"offset": self.offset, "timeout": timeout}, timeout + 10)
        self.last_poll = time.monotonic()
        self.error = None
        for update in updates:
            # One update that cannot be answered must not hold up those behind it.
            self.offset = update["update_id"] + 1
            try:
                self.handle(update)
            except Exception as error:
                log("update failed", update=update["update_id"], error=str(error))

    def run(self):
        while not self.stopping.is_set():
            wait = 0
            try:
                self.poll()
            except TelegramError as error:
                self.error, wait = str(error), error.wait
                if error.code == 401:
                    log("Telegram refuses the token: ask @BotFather for a new one")
                    wait = 60
            except (OSError, ValueError, KeyError) as error:
                self.error, wait = type(error).__name__, 3
            if wait:
                log("polling failed", error=self.error, retry_s=wait)
                self.stopping.wait(wait)

    def health(self):
        state = "error" if self.error else "polling" if self.last_poll else "connecting"
        return {"status": "healthy", "service": "{{name}}", "telegram": state, "error": self.error}


def log(msg, **fields):
    print(json.dumps(dict(fields, msg=msg)), flush=True)


def make_server(host, port, bot):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            found = self.path == "/health"
            body = json.dumps(bot.health() if found else {"error": "only /health is here"}).encode()
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, fmt, *args):
            pass

    return ThreadingHTTPServer((host, port), Handler)


def main():
    token = os.environ.get("TELEGRAM_BOT_TOKEN")
    if not token:
        sys.exit("TELEGRAM_BOT_TOKEN is not set: ask @BotFather for a token and put it into .env")
    bot = Bot(Telegram(token, os.environ.get("TELEGRAM_API_URL") or "https://api.telegram.org"))
    server = make_server(os.environ.get("HOST", "127.0.0.1"), int(os.environ.get("PORT", "{{port}}")), bot)
    signal.signal(signal.SIGTERM, lambda *_: (bot.stopping.set(), threading.Thread(target=server.shutdown).start()))
    threading.Thread(target=bot.run, daemon=True).start()
    log("listening", port=server.server_port)
    server.serve_forever()
    server.server_close()


if __name__ == "__main__":
    main()
