"""`python3 -m unittest` runs these: the agent alone, then over HTTP."""
import json
import threading
import unittest
import urllib.error
import urllib.request

import agent
import app


class AgentTest(unittest.TestCase):
    def setUp(self):
        self.agent = app.make_agent({})

    def ask(self, question):
        return self.agent.ask(question)["answer"]

    def test_tools(self):
        self.assertEqual(self.ask("what is 6 * 7?"), "42")
        self.assertEqual(self.ask("(1 + 2) * -3"), "-9")
        self.assertIn("UTC", self.ask("what time is it"))
        self.assertEqual(self.ask("remember that milk is out"), "noted: milk is out")
        self.assertEqual(self.ask("show my notes"), "milk is out")

    def test_a_tool_that_fails_is_told(self):
        self.assertIn("did not work", self.ask("1 / 0"))
        with self.assertRaises(ValueError):
            agent.calculate("__import__('os')")
        with self.assertRaises(ValueError):
            agent.calculate("1 +" * 100 + "1")

    def test_it_says_what_it_can_do(self):
        self.assertIn("I can", self.ask("sing a song"))

    def test_no_endless_loop(self):
        class Stubborn:
            def plan(self, question, observations):
                return {"tool": "clock"}
        self.assertEqual(len(agent.Agent(Stubborn()).ask("x")["steps"]), agent.MAX_STEPS)

    def test_without_a_model_the_rules_answer(self):
        stuck = app.make_agent({"OLLAMA_HOST": "http://127.0.0.1:1"})
        self.assertEqual(stuck.ask("2 + 2")["answer"], "4")


class HttpTest(unittest.TestCase):
    def setUp(self):
        self.server = app.make_server("127.0.0.1", 0, app.make_agent({}))
        self.server.RequestHandlerClass.log_message = lambda *args: None
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def tearDown(self):
        self.server.shutdown()
        self.server.server_close()

    def call(self, path, body=None):
        url = "http://127.0.0.1:%d%s" % (self.server.server_port, path)
        try:
            with urllib.request.urlopen(url, body, timeout=5) as reply:
                return reply.status, json.load(reply)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def test_health_and_ask(self):
        self.assertEqual(self.call("/health")[1]["planner"], "rules")
        self.assertEqual(self.call("/ask", b'{"question": "what is 6 * 7?"}')[1]["answer"], "42")

    def test_bad_input(self):
        for body in (b"x", b"{}", b'{"question": 1}', b'{"question": " "}'):
            self.assertEqual(self.call("/ask", body)[0], 400, body)


if __name__ == "__main__":
    unittest.main()
