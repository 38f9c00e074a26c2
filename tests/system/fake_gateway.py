"""A gateway of somebody else: speaks just enough WebSocket and protocol to answer every chat with a very long Markdown text."""
import base64
import hashlib
import json
import socketserver
import struct
import sys


def answer(lines):
    return "\n".join("line %d *of* `many` <b>&" % i + " " + "x" * 20 for i in range(1, lines + 1))


class Gateway(socketserver.StreamRequestHandler):
    def send(self, frame):
        data = json.dumps(frame).encode()
        head = bytes([0x81]) + (struct.pack("!BH", 126, len(data)) if 125 < len(data) < 65536 else bytes([len(data)]))
        self.wfile.write(head + data)

    def receive(self):
        head = self.rfile.read(2)
        if len(head) < 2:
            return None, b""
        size = head[1] & 0x7F
        if size == 126:
            size = struct.unpack("!H", self.rfile.read(2))[0]
        mask = self.rfile.read(4)
        return head[0] & 15, bytes(b ^ mask[i % 4] for i, b in enumerate(self.rfile.read(size)))

    def handle(self):
        key = ""
        while (line := self.rfile.readline().strip()):
            if line.lower().startswith(b"sec-websocket-key:"):
                key = line.split(b":", 1)[1].strip().decode()
        accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
        self.wfile.write(("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Accept: %s\r\n\r\n" % accept).encode())
        self.send({"type": "complete", "sessionId": "me", "content": "Welcome"})
        while True:
            opcode, data = self.receive()
            if opcode in (None, 8):
                return
            if opcode != 1:
                continue
            request = json.loads(data)
            if request.get("type") == "chat":
                self.send({"type": "complete", "sessionId": request.get("sessionId"), "content": answer(200)})
            elif request.get("type") == "ping":
                self.send({"type": "pong", "sessionId": request.get("sessionId")})


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


Server(("127.0.0.1", int(sys.argv[1])), Gateway).serve_forever()
