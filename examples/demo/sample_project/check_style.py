"""Lines of at most 120 characters, no tabs, no trailing blanks, a docstring in each module of the package."""

import ast
import sys
from pathlib import Path

problems = []
for path in sorted(Path().rglob("*.py")):
    text = path.read_text(encoding="utf-8")
    for number, line in enumerate(text.splitlines(), start=1):
        if len(line) > 120 or "\t" in line or line != line.rstrip():
            problems.append(f"{path}:{number}: too long, a tab, or a trailing blank")
    if path.parts[0] == "ledger" and not ast.get_docstring(ast.parse(text)):
        problems.append(f"{path}:1: no docstring")
    print(f"checked {path}", flush=True)
print(*problems, sep="\n")
sys.exit(1 if problems else 0)
