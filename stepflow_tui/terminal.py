"""What a terminal can show, as far as the environment says."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

_FEW_SIGNS = re.compile(r"linux|vt\d|dumb")
"""Beginnings of TERM of those whose fonts are letters and lines."""
_UTF_8 = re.compile(r"utf-?8", re.IGNORECASE)
_PUT_BY_PYTHON = ("C.UTF-8", "C.utf8", "UTF-8")
"""Values of LC_CTYPE with which Python replaces a C locale as it starts (PEP 538)."""


def shows_only_ascii(environment: Mapping[str, str]) -> bool:
    """Of the locale the first that is set holds, empty is not set, as everywhere. Where none is: what is at the other
    end of ssh or of a container shows UTF-8, and those that do not say so in TERM; but tmux and screen put a `_` or a
    `?` for each sign where no locale names UTF-8."""
    if _FEW_SIGNS.match(environment.get("TERM", "")):
        return True
    locale = next((value for name in ("LC_ALL", "LC_CTYPE", "LANG") if (value := environment.get(name))), None)
    if locale is None:
        return "TMUX" in environment or "STY" in environment
    return _UTF_8.search(locale) is None


def given_environment() -> dict[str, str]:
    """As it was before Python changed it."""
    environment = dict(os.environ)
    if environment.get("LC_CTYPE") in _PUT_BY_PYTHON:
        try:
            given = Path("/proc/self/environ").read_bytes().split(b"\0")
        except OSError:
            return environment  # a system without it; there the locale is rarely C
        if not any(one.startswith(b"LC_CTYPE=") for one in given):
            del environment["LC_CTYPE"]
    return environment


def is_drawn_here() -> bool:
    """The screen is drawn on stderr; where that is no terminal, a browser or nobody draws it."""
    return sys.__stderr__ is not None and sys.__stderr__.isatty()
