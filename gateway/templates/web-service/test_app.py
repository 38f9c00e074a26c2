"""`python3 -m unittest` runs these against the real server on a free port."""
import json
import threading
import unittest
import urllib.error
import urllib.request

import app


class ServiceTest(unittest.TestCase):
    def setUp(self):
        app.Handler.items = app.Items()
        app.Handler.log_message = lambda *args: None
        self.server = app.make_server("127.0.0.1", 0)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def tearDown(self):
        self.server.shutdown()
        self.server.server_close()

    def call(self, method, path, body=None):
        url = "http://127.0.0.1:%d%s" % (self.server.server_port, path)
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data, method=method), timeout=5) as reply:
                return reply.status, json.load(reply)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def test_health(self):
        status, body = self.call("GET", "/health")
        self.assertEqual((status, body["status"]), (200, "healthy"))

    def test_add_read_remove(self):
        self.assertEqual(self.call("POST", "/api/items", {"title": " milk "}), (201, {"id": 1, "title": "milk"}))
        self.assertEqual(self.call("GET", "/api/items/1"), (200, {"id": 1, "title": "milk"}))
        self.assertEqual(self.call("GET", "/api/items")[1], {"items": [{"id": 1, "title": "milk"}]})
        self.assertEqual(self.call("DELETE", "/api/items/1"), (200, {"removed": 1}))
        self.assertEqual(self.call("DELETE", "/api/items/1")[0], 404)

    def test_bad_input(self):
        for body in (b"not json", b"[]", b"{}", b'{"title": 1}', b'{"title": "  "}'):
            self.assertEqual(self.call("POST", "/api/items", body)[0], 400, body)
        self.assertEqual(self.call("GET", "/nothing")[0], 404)
        self.assertEqual(self.call("POST", "/nothing", {})[0], 404)


if __name__ == "__main__":
    unittest.main()
