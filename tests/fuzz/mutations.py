"""Changes to a text: of its characters, tokens, lines and structure, towards what readers stumble over."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

from stepflow.dsl.references import FORMS
from stepflow.dsl.spellings import FLOW_KEYS, ON_ERROR_KEYS, RETRY_KEYS, STEP_KEYS, TRIGGER_KEYS

CHARACTERS = "\0\x07\x08\x1b\x7f\x85\xa0\xad\u200b\u200e\u2028\u2029\u202e\ufeff\ufffe\ud800\udfff\U0001f600\t\r\n\v\f"
"""Those that some reader counts, drops, shows or refuses otherwise than another."""

SIGNS = "{}[]()<>:,-?!*&#|>%@`'\"\\/$.=+~^; "

WORDS = (
    *(key for table in (FLOW_KEYS, STEP_KEYS, RETRY_KEYS, ON_ERROR_KEYS, TRIGGER_KEYS) for key in table),
    *FLOW_KEYS.values(), *STEP_KEYS.values(), *RETRY_KEYS.values(), *FORMS,
    "$text", "$expr", "$on_skip", "$default", "onSkip", "x-", "<<", "<<: *a", "&a ", "*a", "!!python/object:os.system ",
    "!!binary ", "!!set ", "!", "---\n", "...\n", "%YAML 1.1\n", "? ", "| ", ">-", "|+2\n", "\r\n", "\t", "  ",
    "null", "~", "true", "on", "no", ".nan", "-.inf", "NaN", "Infinity", "1e999", "-1e999", "0x", "0o8", "1_000", "-0",
    "-0.0", "9" * 30, "9" * 4400, "1e308", "0.1e-400", "12:30", "2024-01-01", "0777", "18446744073709551616",
    "\\u0000", "\\ud800", "\\udc00\\ud800", "\\x1b[2J", "\\N{SNOWMAN}", "${{", "}}", "${{ ${{ 1 }} }}", "$.",
    "$.steps.",
    '$.steps["', "$.input", "$.input.a[", "$.variables.", "$.run.id", "$literal", "# stepflow: ignore[", "#",
    "250ms", "1h30m", "-5s", "1e9d", "٣s", "* * * * *", "0 0 31 2 *", "@reboot", "H H * * *", "*/0 * * * *",
    "0 0 L * *",
)  # fmt: skip

_TOKEN = re.compile(r"\w+|\s+|.", re.DOTALL)
_SCALAR = re.compile(r"(?<=: )[^\n{}\[\],]+")


def mutate(random: Random, text: str, others: Sequence[str]) -> str:
    """A few changes, one after another. `others`: texts that pieces are taken from."""
    for _ in range(1 + int(random.expovariate(0.5))):
        text = random.choice(_MUTATIONS)(random, text, others)
    return text


def _span(random: Random, text: str, longest: int = 40) -> tuple[int, int]:
    start = random.randint(0, len(text))
    return start, min(len(text), start + random.randint(0, longest))


def _flip_bit(random: Random, text: str, others: Sequence[str]) -> str:
    if not text:
        return text
    at = random.randrange(len(text))
    return text[:at] + chr(ord(text[at]) ^ (1 << random.randrange(8))) + text[at + 1 :]


def _insert(random: Random, text: str, others: Sequence[str]) -> str:
    at = random.randint(0, len(text))
    piece = random.choice((random.choice(CHARACTERS), random.choice(SIGNS), random.choice(WORDS)))
    return text[:at] + piece + text[at:]


def _remove(random: Random, text: str, others: Sequence[str]) -> str:
    start, end = _span(random, text)
    return text[:start] + text[end:]


def _repeat(random: Random, text: str, others: Sequence[str]) -> str:
    start, end = _span(random, text)
    return text[:end] + text[start:end] * random.choice((1, 1, 2, 5, 60)) + text[end:]


def _replace_token(random: Random, text: str, others: Sequence[str]) -> str:
    tokens = _TOKEN.findall(text)
    if tokens:
        tokens[random.randrange(len(tokens))] = random.choice((random.choice(WORDS), random.choice(tokens)))
    return "".join(tokens)


def _replace_scalar(random: Random, text: str, others: Sequence[str]) -> str:
    """Of `key: scalar` the scalar."""
    found = list(_SCALAR.finditer(text))
    if not found:
        return text
    one = random.choice(found)
    instead = random.choice((random.choice(WORDS), "[]", "{}", "[[]]", "{a: {}}", "", "''", random.choice(found)[0]))
    return text[: one.start()] + instead + text[one.end() :]


def _move_line(random: Random, text: str, others: Sequence[str]) -> str:
    lines = text.split("\n")
    line = lines[random.randrange(len(lines))]
    if random.random() < 0.5:
        lines.remove(line)
    lines.insert(random.randint(0, len(lines)), line)
    return "\n".join(lines)


def _indent(random: Random, text: str, others: Sequence[str]) -> str:
    lines = text.split("\n")
    first = random.randrange(len(lines))
    by = random.choice((" ", "  ", "\t", "- ", "? ", "- - "))
    for number in range(first, min(len(lines), first + random.randint(1, 6))):
        lines[number] = by + lines[number]
    return "\n".join(lines)


def _splice(random: Random, text: str, others: Sequence[str]) -> str:
    other = random.choice(others)
    start, end = _span(random, other, 200)
    at = random.randint(0, len(text))
    return text[:at] + other[start:end] + text[at + random.choice((0, end - start)) :]


def _nest(random: Random, text: str, others: Sequence[str]) -> str:
    start, end = _span(random, text)
    depth = random.choice((1, 2, 10, 49, 98, 101, 400, 3000))
    opening, closing = random.choice((("[", "]"), ("{a: ", "}"), ('{"a":', "}"), ("(", ")"), ("- ", ""), ("[a, ", "]")))
    return text[:start] + opening * depth + text[start:end] + closing * depth + text[end:]


def _anchor(random: Random, text: str, others: Sequence[str]) -> str:
    """A value that is meant in several places, or in itself."""
    found = list(_SCALAR.finditer(text)) or [re.compile("").match(text)]
    one, other = sorted((random.choice(found), random.choice(found)), key=lambda match: match.start())  # type: ignore[union-attr]
    bomb = "&a [" + ", ".join(["*a"] * 10) + "]" if random.random() < 0.2 else f"&a {one[0]}"
    text = text[: other.start()] + "*a" + text[other.end() :]
    return text if one is other else text[: one.start()] + bomb + text[one.end() :]


def _newlines(random: Random, text: str, others: Sequence[str]) -> str:
    return text.replace("\n", random.choice(("\r\n", "\r", "\n\n", "\u2028", "\x85", "\n\t", "\n# c\n")))


def _byte_order_mark(random: Random, text: str, others: Sequence[str]) -> str:
    return "\ufeff" + text


def _cut(random: Random, text: str, others: Sequence[str]) -> str:
    return text[: random.randint(0, len(text))]


_MUTATIONS: tuple[Callable[[Random, str, Sequence[str]], str], ...] = (
    _flip_bit, _insert, _insert, _remove, _remove, _repeat, _replace_token, _replace_token, _replace_token,
    _replace_scalar, _replace_scalar, _replace_scalar, _move_line, _indent, _splice, _splice, _nest, _anchor, _newlines,
    _byte_order_mark, _cut,
)  # fmt: skip
