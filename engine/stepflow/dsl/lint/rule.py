"""A rule of lint: what it looks for, why that matters, and an example of both ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Literal

import msgspec

from stepflow.dsl.lint.source import Edit
from stepflow.dsl.lint.view import ComponentFacts, View
from stepflow.dsl.places import Place


class Finding(msgspec.Struct, frozen=True):
    """One place where a rule is broken."""

    message: str
    place: Place
    hint: str = ""
    """What to do about it; empty: the rule's reason is said instead."""
    instead: str = ""
    """The word that belongs there, for the rule's own fix."""


class Rule(msgspec.Struct, frozen=True):
    code: str
    """`L2xx`, stable."""
    name: str
    """The name of its file, with dashes."""
    level: Literal["error", "warning", "info"]
    reason: str
    """Why it matters, in one sentence."""
    bad: str
    """A template that breaks this rule and no other."""
    good: str
    """The same put right: it breaks none."""
    check: Callable[[View], Iterator[Finding]]
    fix: Callable[[View, Finding], tuple[Edit, ...]] | None = None
    """The edits that put a finding right and change nothing else; empty: not certain there."""
    example_components: Mapping[str, ComponentFacts] = {}
    """Components that the examples run and that are not ours."""
