"""constraints.txt: names and versions only, and nothing that gets installed is missing from it."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house import tree

PYPROJECT = tomllib.loads((tree.ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
LINES = (tree.ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
PINS = dict(line.split("==") for line in LINES if not line.startswith("#"))


def test_a_pin_is_a_name_and_a_version() -> None:
    assert [pin for pin in PINS.items() if not re.fullmatch(r"[A-Za-z0-9._-]+ [A-Za-z0-9.]+", " ".join(pin))] == []


def test_everything_that_gets_installed_is_pinned() -> None:
    to_look_at = [Requirement(text) for text in PYPROJECT["build-system"]["requires"] + PROJECT["dependencies"]]
    to_look_at += [Requirement(text) for text in PROJECT["optional-dependencies"]["dev"]]
    pinned = {canonicalize_name(name) for name in PINS} | {"pip"}  # sqlite-utils asks for it; every environment has one
    seen = set()
    while to_look_at:
        requirement = to_look_at.pop()
        wanted = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if wanted in seen:
            continue
        seen.add(wanted)
        for text in metadata.requires(requirement.name) or []:
            further = Requirement(text)
            extras = requirement.extras or {""}
            if further.marker is None or any(further.marker.evaluate({"extra": extra}) for extra in extras):
                to_look_at.append(further)
    assert {name for name, _ in seen} - pinned == set()


def test_the_pins_satisfy_what_pyproject_asks_for() -> None:
    pinned = {canonicalize_name(name): version for name, version in PINS.items()}
    for text in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]:
        asked = Requirement(text)
        assert asked.specifier.contains(pinned[canonicalize_name(asked.name)]), text
