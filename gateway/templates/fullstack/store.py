"""Tasks in SQLite. One connection per call, so that any thread may ask."""
import os
import sqlite3
from contextlib import closing


class Store:
    def __init__(self, path):
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        self.path = path
        with closing(self._open()) as db, db:
            db.execute("CREATE TABLE IF NOT EXISTS tasks (id INTEGER PRIMARY KEY, title TEXT NOT NULL,"
                       " done INTEGER NOT NULL DEFAULT 0)")

    def _open(self):
        db = sqlite3.connect(self.path, timeout=5)
        db.row_factory = sqlite3.Row
        return db

    @staticmethod
    def _task(row):
        return {"id": row["id"], "title": row["title"], "done": bool(row["done"])}

    def all(self):
        with closing(self._open()) as db:
            return [self._task(row) for row in db.execute("SELECT * FROM tasks ORDER BY id")]

    def add(self, title):
        with closing(self._open()) as db, db:
            return {"id": db.execute("INSERT INTO tasks (title) VALUES (?)", (title,)).lastrowid,
                    "title": title, "done": False}

    def finish(self, task_id, done):
        with closing(self._open()) as db, db:
            return db.execute("UPDATE tasks SET done = ? WHERE id = ?", (done, task_id)).rowcount == 1

    def remove(self, task_id):
        with closing(self._open()) as db, db:
            return db.execute("DELETE FROM tasks WHERE id = ?", (task_id,)).rowcount == 1

    def check(self):
        """True when the database answers."""
        try:
            with closing(self._open()) as db:
                db.execute("SELECT 1 FROM tasks LIMIT 1")
            return True
        except sqlite3.Error:
            return False
