"""A whole session as a user sees it, held against the transcripts in `golden/`: on terminals of 80 and 200 columns, and
in a pipe. Ids, times and durations are masked.

`STEPFLOW_GOLDEN=write pytest tests/cli/test_golden.py` writes them anew; their differences are to be read.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parent / "golden"

ORDER = """\
name: order-processing
description: Process customer orders
input_schema:
  type: object
  properties: { orderId: { type: string } }
  required: [orderId]
steps:
  - id: validate-order
    component: /builtin/echo
    input: "$.input.orderId"
    on_error: fail
  - id: check-inventory
    component: /builtin/echo
    depends_on: [validate-order]
    on_error: fail
    input: 3
  - id: process-payment
    component: /builtin/echo
    depends_on: [check-inventory]
    on_error: fail
  - id: send-confirmation
    component: /builtin/echo
    depends_on: [process-payment]
    on_error: fail
output:
  processed: true
  items: { $from: { step: check-inventory } }
"""

FILES = {
    "order-workflow.yaml": ORDER,
    "changed.yaml": ORDER.replace("input: 3", "input: 4"),
    "order-input.json": '{"orderId": "12345"}',
    "broken.yaml": "name: broken\ninput_schema: {type: object, properties: {a: {}}}\nsteps:\n"
    "  - {id: process}\n  - {id: two, type: echo, input: $.input.unknownField}\n",
    "risky.yaml": "name: risky\ndescription: Calls an API.\nsteps:\n"
    "  - {id: call-api, type: http.get, timeout: 5s, input: {url: 'http://localhost/'}}\n",
    "failing.yaml": "name: data-pipeline\nsteps:\n  - {id: load, type: echo, input: 1}\n"
    "  - {id: parse, type: fail, depends_on: [load], input: {code: BAD_ROW, message: row 7 has no price}}\n",
    "waiting.yaml": "name: review\nsteps:\n"
    "  - {id: approve, type: approval, input: {message: 'Ship it?', timeout: 2d}}\n",
}

SESSION = """
aio wf list
aio wf create order-processing --dsl order-workflow.yaml -d "Process customer orders"
aio wf create order-processing --dsl order-workflow.yaml
aio wf list
aio wf get order-processing
aio wf update order-processing --dsl changed.yaml
aio wf update order-processing --dsl changed.yaml
aio wf history order-processing
aio wf diff order-processing
aio wf run order-processing --input @order-input.json
aio wf run order-processing --input '{"orderID": "12345"}'
aio wf run order-procesing
aio wf run failing.yaml
aio wf executions
aio wf executions --template order-processing --status running
aio wf execution {completed}
aio wf steps {completed}
aio wf stream {completed}
aio wf logs {completed}
aio wf execution {failed}
aio wf steps {failed}
aio wf retry {failed} --no-worker
aio wf fork {completed} --from process-payment --no-worker
aio wf diff {completed} {failed}
aio wf run order-processing --input @order-input.json --delay 2h --async --no-worker
aio wf pause {newest}
aio wf execution {newest}
aio wf resume {newest} --no-worker
aio wf cancel {newest} --reason "wrong input"
aio wf cancel {newest}
aio wf retry {completed}
aio wf run waiting.yaml --async
until {newest} waiting
aio wf steps {newest}
aio wf signal {newest} approve --data '{"by": "ada"}'
aio wf execution exec_nothing
aio wf validate order-workflow.yaml
aio wf validate broken.yaml
aio wf lint risky.yaml
aio wf lint order-workflow.yaml
aio wf simulate order-workflow.yaml --input '{"orderId": "12345"}'
aio wf simulate order-workflow.yaml --input '{"test": true}'
aio wf delete data-pipeline --force
aio wf get data-pipeline
aio wf exections
aio wf executions --limt 5
"""


class Terminal:
    """Runs commands with all three streams on a terminal of `columns`; without them, in pipes."""

    def __init__(self, folder: Path, columns: int | None) -> None:
        self._folder = folder
        self._columns = columns
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("STEPFLOW", "NO_COLOR"))}
        here = {"STEPFLOW_DB": str(folder / "x.db"), "STEPFLOW_DURABILITY": "normal", "TZ": "UTC", "TERM": "xterm"}
        self._environment = {**kept, **here, "LC_ALL": "C.UTF-8"}
        self._environment.pop("COLUMNS", None)

    def run(self, command: str) -> tuple[str, int]:
        program, *arguments = shlex.split(command)
        assert program == "aio"
        code = "import sys; from stepflow.cli.main import aio; sys.argv[0] = 'aio'; aio()"
        call = [sys.executable, "-c", code, *arguments]
        if self._columns is None:
            done = subprocess.run(
                call, cwd=self._folder, env=self._environment, text=True, check=False, timeout=60,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            return done.stdout, done.returncode
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, self._columns, 0, 0))
        process = subprocess.Popen(
            call, cwd=self._folder, env=self._environment, stdin=theirs, stdout=theirs, stderr=theirs,
            start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        read = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # how a terminal says that nobody writes to it any more
                break
            if not part:
                break
            read += part
        os.close(ours)
        return read.decode().replace("\r\n", "\n"), process.wait(60)


def masked(text: str, ids: dict[str, str]) -> str:
    def name(found: re.Match[str]) -> str:
        run_id = found[0]
        ids.setdefault(run_id, f"{chr(97 + len(ids)) * 4}-masked-{'id':0>4}")
        return ids[run_id]

    text = re.sub(r"(?<=exec[_/])[0-9a-z]{16}\b|(?<=/)[0-9a-z]{16}(?=$|\s|\x1b)", name, text, flags=re.MULTILINE)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?", lambda m: re.sub(r"\d", "0", m[0]), text)
    text = re.sub(r"\b\d\d:\d\d:\d\d\b", "00:00:00", text)
    text = re.sub(r"\b\d+(?:\.\d+)?( ?ms|s)\b", r"0\1", text)
    text = re.sub(r"(  Status: )(queued|running|waiting|completed|failed)\n", r"\1what it is by now\n", text)
    text = re.sub(r"^Duration: .*\n", "", text, flags=re.MULTILINE)  # it is said only where it differs
    return text.replace("\x1b", "␛")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    yield tmp_path
    Terminal(tmp_path, None).run("aio wf workers stop --all")


@pytest.mark.parametrize(
    "columns",
    [80, *(pytest.param(columns, marks=pytest.mark.full) for columns in (200, None))],
    ids=["terminal-80", "terminal-200", "pipe"],
)
def test_a_session_looks_as_it_is_written_down(folder: Path, columns: int | None) -> None:
    terminal = Terminal(folder, columns)
    ids: dict[str, str] = {}
    named: dict[str, str] = {}
    transcript = []
    for line in SESSION.strip().splitlines():
        command = line
        for name, run_id in named.items():
            command = command.replace("{" + name + "}", f"exec_{run_id}")
        if command.startswith("until"):
            _, run_id, status = command.split()
            while f'"status": "{status}"' not in Terminal(folder, None).run(f"aio wf execution {run_id} --json")[0]:
                pass
            continue
        shown, code = terminal.run(command)
        for found in re.findall(r"(?:Run ID: exec_|New Run TRN: \S+exec/)([0-9a-z]{16})", shown):
            named["newest"] = found
            if line.startswith("aio wf run "):
                named.setdefault("completed" if code == 0 else "failed", found)
        transcript.append(f"$ {line}\n{masked(shown.replace(str(folder), '…'), ids)}[{code}]\n")
    written = "\n".join(transcript)
    file = GOLDEN / f"session.{'pipe' if columns is None else f'terminal-{columns}'}.txt"
    if os.environ.get("STEPFLOW_GOLDEN") == "write":
        file.write_text(written)
    assert written == file.read_text()
