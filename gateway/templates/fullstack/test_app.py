"""`python3 -m unittest` runs these against the real server and a database of their own."""
import json
import os
import tempfile
import threading
import unittest
import urllib.error
import urllib.request

import app
from store import Store


class FullstackTest(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.dir.name, "tasks.db")
        self.server = app.make_server("127.0.0.1", 0, Store(self.path))
        self.server.RequestHandlerClass.log_message = lambda *args: None
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def tearDown(self):
        self.server.shutdown()
        self.server.server_close()
        self.dir.cleanup()

    def call(self, method, path, body=None):
        url = "http://127.0.0.1:%d%s" % (self.server.server_port, path)
        data = None if body is None else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data, method=method), timeout=5) as reply:
                text = reply.read().decode()
                return reply.status, json.loads(text) if "json" in reply.headers["Content-Type"] else text
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def test_page(self):
        status, page = self.call("GET", "/")
        self.assertEqual(status, 200)
        self.assertIn("<h1>{{name}}</h1>", page)

    def test_tasks_live_and_stay(self):
        self.assertEqual(self.call("POST", "/api/tasks", {"title": "milk"})[0], 201)
        self.assertEqual(self.call("PUT", "/api/tasks/1", {"done": True}), (200, {"ok": True}))
        self.assertEqual(Store(self.path).all(), [{"id": 1, "title": "milk", "done": True}])
        self.assertEqual(self.call("DELETE", "/api/tasks/1")[0], 200)
        self.assertEqual(self.call("GET", "/api/tasks")[1], {"tasks": []})

    def test_bad_input(self):
        for body in ([], {}, {"title": 1}, {"title": " "}):
            self.assertEqual(self.call("POST", "/api/tasks", body)[0], 400, body)
        self.assertEqual(self.call("PUT", "/api/tasks/1", {"done": "yes"})[0], 400)
        self.assertEqual(self.call("PUT", "/api/tasks/9", {"done": True})[0], 404)
        self.assertEqual(self.call("DELETE", "/api/tasks/x")[0], 404)

    def test_health_knows_its_database(self):
        self.assertEqual(self.call("GET", "/health")[1]["database"], "ok")
        os.remove(self.path)
        os.mkdir(self.path)
        self.assertEqual(self.call("GET", "/health")[0], 503)


if __name__ == "__main__":
    unittest.main()
