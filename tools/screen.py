"""Writes docs/screen.md, the reference of the terminal UI, from its own tables of keys, settings and filters.

`python tools/screen.py` rewrites the page; a test compares it with the tables.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from textwrap import fill

from stepflow.model.statuses import RunStatus
from stepflow_tui.config import CHOICES
from stepflow_tui.keymap import KEYS, MOVES, VIEWS, Key, View
from stepflow_tui.listing import SORTS
from stepflow_tui.presentation.breakpoints import Breakpoints
from stepflow_tui.presentation.filters import FIELDS
from stepflow_tui.presentation.glyphs import Glyphs
from stepflow_tui.presentation.settings import SETTINGS
from stepflow_tui.profiles import FIELDS as OF_PROFILES
from stepflow_tui.remapping import PRESETS
from stepflow_tui.theme import COLOURS, DEFAULT, themes_folder

PAGE = Path(__file__).resolve().parents[1] / "docs" / "screen.md"

TITLES: dict[View, str] = {name: title for name, title, _ in VIEWS.values()} | {"run": "An execution", "diff": "Diff"}
BREAKPOINTS = {
    "medium": "Columns and rows from which on the dashboard shows how the fleet fares, failures and a description.",
    "large": "Those from which on it shows the graph, events and kept views, and texts stand side by side elsewhere.",
    "log": "Rows from which on there is room for the log.",
    "steps": "Rows from which on there is room for the steps.",
}

_HEAD = """\
# The terminal UI

`stepflow` opens it; [commands.md](commands.md) has its options. This page is written from the program's own tables by
`python tools/screen.py`. In the screen `?` shows the keys of what is seen, `:` finds anything by its name, `;` shows
what can be done in a pane; in both `f2` copies the command line that does the same.
"""

_SETTINGS = """\
## Settings

They are in `ui.toml` in the person's own configuration folder, which the screen of settings (`8`) names and writes. A
file that is saved elsewhere holds at once there, and within five seconds on other screens; what is wrong in it is said.
"""

_VIEWS = f"""\
Filters that `B` keeps under a name, and `'` opens; `sort` is one of {", ".join(SORTS)}:

```toml
[views]
broken = "status:failed since:24h"
slow = {{ filter = "dur:>5m", sort = "duration", reverse = true }}
```
"""

_PROFILES = """\
Other storages, opened by `stepflow ui --profile NAME` or by `:` and the name:

```toml
[profiles.server]
db = "/var/lib/stepflow/stepflow.db"
read_only = true

[profiles.shop]
workspace = "/srv/shop"
```
"""


def page() -> str:
    parts = [_HEAD, _screens(), _keys(), _filters(), _signs(), _SETTINGS, _settings(), _own_keys(), _breakpoints()]
    parts += ["### `[views]`\n", _VIEWS, "### `[profiles]`\n", _PROFILES, _themes()]
    assert all(f"{name} = " in _PROFILES for name in OF_PROFILES)
    return "\n".join(parts)


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = list(heads)
    lines = ["| " + " | ".join(cells) + " |\n" for cells in (heads, ["---"] * len(heads), *rows)]
    return "".join(lines)


def _screens() -> str:
    rows = [(f"`{digit}`", title) for digit, (_, title, _) in VIEWS.items()]
    return "## Screens\n\n" + _table(("key", "screen"), [*rows, ("`⏎`", "An execution, from any list of them")])


def _keys() -> str:
    parts = ["## Keys\n"]
    for group in ("Act", "Look", "Move", "Leave"):
        rows = [(f"`{key.shown}`", key.help, _where(key), f"`{key.id}`") for key in KEYS if key.group == group]
        if group == "Move":
            rows += [(f"`{names}`", what, "everywhere", "") for names, what in MOVES]
        parts += [f"### {group}\n", _table(("key", "what it does", "where", "id"), rows)]
    return "\n".join(parts)


def _where(key: Key) -> str:
    if not key.views:
        return "everywhere"
    return ", ".join(title for view, title in TITLES.items() if view in key.views)


def _filters() -> str:
    rows = [(f"`{name}`", what) for name, what in FIELDS.items()]
    return f"""\
## Filters

`status:failed,running template:etl* dur:>5m since:24h err~503`: all of it must hold. A word alone is looked for in
names and errors, `-` before a term means that it must not hold, a value in quotes may have spaces. `tab` completes.

{_table(("field", "what it takes"), rows)}"""


def _signs() -> str:
    signs, plain = Glyphs(), Glyphs(ascii_only=True)
    rows = [(f"`{signs.run(status)[0]}`", f"`{plain.run(status)[0]}`", status.value) for status in RunStatus]
    fresh = (
        "A list says in its border how fresh it is: `● live`, what happens is in it within seconds; `as of 12:41:07`, "
        "it could not be read since, or is being read, or is of a search, which is not made again by itself (`ctrl+r`)."
    )
    return "## Signs\n\n" + _table(("sign", "in ASCII", "status"), rows) + f"\n{fill(fresh, 120)}\n"


def _settings() -> str:
    rows = []
    for setting in SETTINGS:
        values = CHOICES.get(setting.name)
        said = [f"`{value}`: {setting.means[value]}" for value in values] if values else [f"a name, `{DEFAULT}`"]
        rows.append((f"`{setting.name}`", "; ".join(said)))
    return _table(("setting", "values, the default first"), rows)


def _own_keys() -> str:
    vim = ", ".join(f"`{name}`: `{keys}`" for name, keys in PRESETS["vim"].items())
    return f"""\
### `[keys]`

Other keys, by the ids above; the preset `vim` has {vim}.

```toml
[keys]
run = "f5"
retry = "ctrl+e"
```
"""


def _breakpoints() -> str:
    ours = Breakpoints()
    rows = [(f"`{name}`", _toml(getattr(ours, name)), BREAKPOINTS[name]) for name in Breakpoints.__struct_fields__]
    return f"### `[breakpoints]`\n\n{_table(('name', 'ours', 'what it is'), rows)}"


def _toml(value: object) -> str:
    return f"`{list(value) if isinstance(value, tuple) else value}`"


def _themes() -> str:
    names = ", ".join(f"`{file.stem}`" for file in sorted(themes_folder().glob("*.toml")))
    colours = ", ".join(f"`{name}`" for name in COLOURS)
    return f"""\
## Themes

Ours: {names}.

Your own are files beside `ui.toml`, in `themes/`, each under its name: `themes/mine.toml` is the theme `mine`, and one
that is saved while it is chosen is seen as soon. A theme has a colour for each of {colours},
written as `"#7cc4ff"` or `"ansi_blue"`; `dark = false` for a light one, `ansi = true` for one of the terminal's own
colours, `cursor_style` and `quiet_style` for what is to stand out or be quiet without colour. The files in `themes/`
show how.
"""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE.name}: {len(KEYS)} keys")
