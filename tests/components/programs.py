"""Programs that speak the worker protocol, well and badly, as the tests write them into a workspace."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

GOOD = '''
import json, os, signal, subprocess, sys, time

def send(**message):
    print(json.dumps(message), flush=True)

def answer(id, output):
    send(type="result", id=id, output=output)

PATHS = """echo fail bare skip talk hold release garbage broken long shout silent polite exit killed close_output
    close_input last_words child pid odd""".split()
waiting = []  # attempts that are answered later

for line in sys.stdin:
    message = json.loads(line)
    id, kind = message.get("id"), message["type"]
    if kind == "hello":
        print("good day", file=sys.stderr, flush=True)
        send(type="ready", components=[
            {"path": f"/py/{name}", "description": f"Does {name}", "more": "ignored"} for name in PATHS
        ])
        continue
    if kind == "cancel":
        print(f"cancel {id}", file=sys.stderr, flush=True)
        if id in [held for held, component in waiting if component == "/py/polite"]:
            send(type="log", id=id, level="warning", message="stopping")
            send(type="error", id=id, error={"code": "CANCELLED", "message": "stopped"})
        continue
    component, value = message["component"], message["input"]
    match component.rpartition("/")[2]:
        case "echo":
            answer(id, {"input": value, "context": message["context"], "cwd": os.getcwd(), "X": os.environ.get("X")})
        case "fail":
            send(type="error", id=id, error={"code": "NO_STOCK", "message": "none left", "data": {"left": 0}})
        case "bare":
            send(type="error", id=id, error={})
        case "skip":
            send(type="skip", id=id, reason="not today")
        case "talk":
            send(type="log", id=id, message="plain")
            send(type="log", id=id, level="WARNING", message="odd", fields={"n": 1, "message": 2, "level": 3})
            send(type="log", id=id, level="loud", message="unknown level")
            send(type="emit", id=id, event_type="baked", payload={"loaves": 3})
            send(type="emit", id=id, event_type="run.completed")
            send(type="log", id="nobody", message="of nobody")
            answer(id, None)
        case "hold" | "silent" | "polite":
            waiting.append((id, component))
            send(type="log", id=id, message="held")
        case "release":
            for number, (held, _) in enumerate(reversed(waiting)):
                answer(held, number)
            answer(id, len(waiting))
            waiting.clear()
        case "garbage":
            print("Loading…\\n\\n[1, 2]\\n{\\"type\\": \\"dance\\"}\\n" + "x" * 10_000)
            sys.stdout.buffer.write(b"\\xff\\xfe\\n" + b"[" * 100_000 + b"\\n")
            answer("nobody", 1)
            answer(id, "after all")
        case "broken":
            send(type="result", id=id, output=1, error=2) if value else send(type="error", id=id, error="no object")
        case "long":
            answer(id, "x" * value)
        case "shout":
            print("y" * 100_000, file=sys.stderr, flush=True)
            answer(id, "shouted")
        case "exit":
            os._exit(3)
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "close_output":
            os.close(1)
        case "close_input":
            os.close(0)
            time.sleep(60)
        case "last_words":
            sys.stdout.write(json.dumps({"type": "result", "id": id, "output": "last"}))
            sys.stdout.flush()
            os._exit(0)
        case "child":
            answer(id, subprocess.Popen(["sleep", "60"]).pid)
        case "pid":
            answer(id, os.getpid())
        case "odd":
            print('{"type": "result", "id": "%s", "output": [NaN, 1%s]}' % (id, "0" * 30), flush=True)
'''

STUBBORN = """
import json, os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for line in sys.stdin:
    message = json.loads(line)
    if message["type"] == "hello":
        print(json.dumps({"type": "ready", "components": [{"path": "/py/pid"}]}), flush=True)
    else:
        print(json.dumps({"type": "result", "id": message["id"], "output": os.getpid()}), flush=True)
while True:
    time.sleep(60)
"""


def ready(*components: Any, before: str = "") -> str:
    """A program that says this of itself, and ends with its stdin."""
    said = json.dumps({"type": "ready", "components": components})
    return f"import sys\nsys.stdin.readline()\n{before}\nprint({said!r}, flush=True)\nsys.stdin.read()\n"


def write(workspace: Path, text: str, name: str = "program.py", **more: Any) -> None:
    """A program, and its table in the workspace's `stepflow.toml`."""
    workspace.mkdir(exist_ok=True)
    (workspace / name).write_text(text)
    table = {"command": [sys.executable, str(workspace / name)], **more}
    lines = [f"{key} = {_toml(value)}" for key, value in table.items()]
    with (workspace / "stepflow.toml").open("a") as file:
        file.write("\n".join(["[[components]]", *lines, ""]))


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + "}"
    return json.dumps(value)
