"""The agent: a loop of plan, tool, observation. The planner is rules, or Ollama when OLLAMA_HOST is set."""
import ast
import json
import operator
import re
import time
import urllib.request

MAX_STEPS = 4
OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
             ast.Mod: operator.mod, ast.USub: operator.neg}


def calculate(expression):
    """Arithmetic only: the tree is walked, nothing is ever executed."""
    def value(node):
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            return node.value
        if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
            return OPERATORS[type(node.op)](value(node.left), value(node.right))
        if isinstance(node, ast.UnaryOp) and type(node.op) in OPERATORS:
            return OPERATORS[type(node.op)](value(node.operand))
        raise ValueError("only numbers and + - * / % are understood")
    if len(expression) > 200:
        raise ValueError("the expression is too long")
    return str(value(ast.parse(expression.strip(), mode="eval").body))


class Notes:
    def __init__(self):
        self.lines = []

    def add(self, text):
        self.lines.append(text)
        return "noted: " + text

    def read(self, _):
        return "\n".join(self.lines) or "there are no notes yet"


class Rules:
    """A planner that needs no model."""

    PATTERNS = [
        (r"(?:what time|which day|current time|date)", "clock", 0),
        (r"(?:remember|note)(?: that)?[: ]+(.+)", "note", 1),
        (r"(?:what do you remember|show (?:my )?notes|read (?:my )?notes)", "notes", 0),
        (r"([-+]?[\d(][\d\s().+*/%-]*[\d)])", "calculate", 1),
    ]

    def plan(self, question, observations):
        if observations:
            return {"answer": observations[-1]}
        for pattern, tool, group in self.PATTERNS:
            match = re.search(pattern, question, re.IGNORECASE)
            if match:
                return {"tool": tool, "input": match.group(group)}
        return {"answer": "I can calculate, tell the time and keep notes. Ask me: what is 6 * 7?"}


class Ollama:
    """Asks a local model; whatever goes wrong there falls back to the rules."""

    def __init__(self, host, model, fallback):
        self.url, self.model, self.fallback = host.rstrip("/") + "/api/generate", model, fallback

    def plan(self, question, observations):
        prompt = ('Reply with JSON only: {"tool": "calculate|clock|note|notes", "input": "…"} or {"answer": "…"}.\n'
                  "Question: %s\nObservations: %s" % (question, observations))
        body = json.dumps({"model": self.model, "prompt": prompt, "stream": False, "format": "json"}).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(self.url, body), timeout=30) as reply:
                step = json.loads(json.load(reply)["response"])
            if isinstance(step.get("answer") or step.get("tool"), str):
                return step
        except (OSError, ValueError, KeyError, AttributeError):
            pass
        return self.fallback.plan(question, observations)


class Agent:
    def __init__(self, planner):
        self.planner = planner
        notes = Notes()
        self.tools = {"calculate": calculate, "note": notes.add, "notes": notes.read,
                      "clock": lambda _: time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())}

    def ask(self, question):
        """Returns {answer, steps}; a tool that fails is an observation like any other."""
        observations, steps = [], []
        for _ in range(MAX_STEPS):
            step = self.planner.plan(question, observations)
            if "answer" in step:
                return {"answer": str(step["answer"]), "steps": steps}
            try:
                tool = self.tools[step["tool"]]
                result = tool(str(step.get("input", "")))
            except (KeyError, ValueError, SyntaxError, ArithmeticError, RecursionError) as error:
                result = "that did not work: %s" % error
            observations.append(result)
            steps.append({"tool": step.get("tool"), "input": step.get("input"), "result": result})
        return {"answer": observations[-1], "steps": steps}
