"""`python3 -m unittest` runs these: the answers alone, then the bot against a Telegram of our own."""
import unittest

import app


class FakeTelegram:
    def __init__(self, updates):
        self.updates = updates
        self.sent = []

    def call(self, method, params, timeout=15):
        if method == "getUpdates":
            return [u for u in self.updates if u["update_id"] >= params["offset"]]
        self.sent.append((method, params))
        return {}


def message(update_id, text):
    return {"update_id": update_id, "message": {"chat": {"id": 7}, "text": text}}


class AnswerTest(unittest.TestCase):
    def test_commands(self):
        self.assertIn("{{name}}", app.answer("/start"))
        self.assertEqual(app.answer("/echo  hello"), "hello")
        self.assertEqual(app.answer("/echo@{{name}} hello"), "hello")
        self.assertIn("UTC", app.answer("/time"))
        for name in app.COMMANDS:
            self.assertIn("/" + name, app.answer("/help"))

    def test_everything_else(self):
        self.assertIn("do not know /nonsense", app.answer("/nonsense"))
        self.assertEqual(app.answer("hi"), "You wrote: hi")


class BotTest(unittest.TestCase):
    def setUp(self):
        app.log = lambda *args, **fields: None

    def test_each_update_is_answered_once(self):
        telegram = FakeTelegram([message(5, "hi"), {"update_id": 6, "poll": {}}, message(7, "/echo x")])
        bot = app.Bot(telegram)
        bot.poll(0)
        bot.poll(0)
        self.assertEqual([p["text"] for _, p in telegram.sent], ["You wrote: hi", "x"])
        self.assertEqual(bot.offset, 8)

    def test_a_malformed_update_does_not_stop_the_rest(self):
        telegram = FakeTelegram([{"update_id": 1, "message": {"text": "no chat"}}, message(2, "hi")])
        app.Bot(telegram).poll(0)
        self.assertEqual(len(telegram.sent), 1)

    def test_health_tells_about_telegram(self):
        bot = app.Bot(FakeTelegram([]))
        self.assertEqual(bot.health()["telegram"], "connecting")
        bot.poll(0)
        self.assertEqual(bot.health()["telegram"], "polling")


if __name__ == "__main__":
    unittest.main()
