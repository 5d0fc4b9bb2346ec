"""Expressions from their grammar, with noise; deep and long ones around the caps; and attempts to get out."""

from __future__ import annotations

from random import Random

from stepflow.model.expressions import FUNCTIONS, MAX_LENGTH, MAX_NESTING

ATTEMPTS = (
    "$.steps.done.__class__", "$.input.__class__.__mro__", "$.input.text.__len__", "$.variables.__dict__.v",
    '$.input["__class__"]', "$.input.list.append", "''.__class__", "().__class__.__bases__[0].__subclasses__()",
    "__import__('os')", "eval('1')", "exec('1')", "open('/etc/passwd')", "getattr($.input, 'x')", "globals()", "vars()",
    "str.format('{0.__class__}', 1)", "'{0.__class__}' % 1", "'%s' % $.input", "f'{1}'", "b'x'", "len.__call__('a')",
    "lambda: 1", "lambda x: x", "[x for x in [1]]", "(x := 1)", "import os", "x = 1", "1; 2", "{}", "{'a': 1}", "...",
    "*[1]", "**{}", "@", "1 if 1", "del $.input", "await now()", "yield", "print(1)", "now.real", "now().__class__",
    "(len)('a')", "len", "[len]", "[len][0]('a')", "max(key=len)", "min(1, key=1)", "default(len, 1)", "exists(len)",
    "$.steps.done.output()", "$.steps.done.output.text('a')", "$.run", "$.run.id.__class__", "$.run.__class__", "$",
    "$.steps", "$.steps.", "$..input", "$.*", "$.input[*]", "$.input[?(@.x)]", "$.input[0:1]", "$.input['x'",
    "${{ 1 }}",
    "${{ ${{ 1 }} }}", "\\u0027", "'\\u0041'", "'\\x41'", "'\\", '"\\\n"', "1__0", "0b1", "0x10", "1j", "1e400",
    "1 .real",
    "9**9**9**9", "2 ** 9", "'a' * 10", "[1] * 9", "~1", "1 // 0", "1 << 999999", "1 @ 2", "a and b", "not", "in",
    "is None",
    "int('1' )", "int('٣')", "int('1_0')", "int('²')", "float('nan')", "float('-inf')", "float('1e999')", "int(1e308)",
    "float(10)", "str(str)", "now(1)", "$.input.big * $.input.big", "$.input.big / 3", "float($.input.big)",
    "1 / $.input.big",
    "$.input.big % 0.5", "$.input.float * 10", "0.1 % $.input.big", "-$.input.big", "int($.input.huge)",
    "str($.input.huge)",
    "$.input.huge + 1", "$.input.huge == 1.5", "$.input.huge < 0.5", "join([$.input.huge])", "sum([$.input.huge, 1.5])",
)  # fmt: skip

_REFERENCES = (
    "$.input", "$.input.x", "$.input.text", "$.input.list", "$.input.big", "$.input.deep", "$.input.none",
    "$.input.y.z",
    "$.input.list[-1]", "$.input.list[99999999999999999999]", '$.input["a b"]', "$.steps.done.output", "$.run.id",
    "$.steps.done.output.n", "$.steps.done.output.list", '$.steps.done.output["a.b"]', "$.steps.done.status",
    "$.steps.skipped.output", "$.steps.failed.output.x", "$.steps.failed.error.code", "$.steps.null.output.a.b",
    "$.steps.file.output.inner", "$.steps.nobody.output", "$.variables.v.deep", "$.variables.none",
)  # fmt: skip
_ATOMS = (
    "0", "1", "-1", "2", "3.5", "1e308", "1e-308", ".5", "9007199254740993", "true", "false", "null", "''", "'a'",
    '"ab"',
    "'ß,ŉ'", "'\\n'", "[]", "'12'", "'1e5'", "' '", "now()",
)  # fmt: skip
_BINARY = ("+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or", "&&", "||")
_NOISE = (*"()[],.$'\"\\!=&|:;{}@#~^`", " ", "\n", "\t", "\0", "²", "٣", "é", "\ud800", "if", "else", "not", "lambda")
_WRAPPINGS = (
    ("(", ")"), ("[", "]"), ("-", ""), ("not ", ""), ("!", ""), ("str([", "])"), ("len(", ")"), ("default(", ", 1)"),
    ("join([", "], $.input.text)"), ("join(split(", ", 'a'), $.input.text)"), ("1 if ", " else 2"), ("1 if 0 else ",
    ""),
    ("upper(", ")"), ("max(", ", 1)"), ("[", ", 1]"), ("(1 + ", ")"), ("values([", "][0])"), ("split(join(", "),'')"),
)  # fmt: skip


def write_expression(random: Random) -> str:
    text = random.choice((_any, _any, _any, _any, _deep, _long, _attempt))(random)
    for _ in range(random.choice((0, 0, 0, 1, 3))):
        at = random.randint(0, len(text))
        text = text[:at] + random.choice(_NOISE) + text[at + random.randint(0, 1) :]
    return text


def write_path(random: Random) -> str:
    parts = (".a", ".b", "[0]", "[-1]", '["c d"]', "['e']", ".a-b", ".0", '["\\""]', "[" + "9" * 30 + "]", ".é", "..",
    "[", "]",
             '["', "/a", "~1", "~", " ", "$", "\\", "[\u0663]", "\n", "\ud800")  # fmt: skip
    start = random.choice(("$", "", "a", "/", "$.input", "$.steps.done.output"))
    return start + "".join(random.choices(parts, k=random.choice((0, 1, 2, 3, 5, 20, 300))))


def _any(random: Random, depth: int = 4) -> str:
    if depth == 0 or random.random() < 0.2:
        return random.choice((random.choice(_ATOMS), random.choice(_REFERENCES)))
    roll = random.random()
    if roll < 0.4:
        return f"{_any(random, depth - 1)} {random.choice(_BINARY)} {_any(random, depth - 1)}"
    if roll < 0.5:
        return f"({_any(random, depth - 1)})"
    if roll < 0.6:
        return f"{_any(random, depth - 1)} if {_any(random, depth - 1)} else {_any(random, depth - 1)}"
    if roll < 0.7:
        return f"[{', '.join(_any(random, depth - 1) for _ in range(random.randint(0, 4)))}]"
    if roll < 0.8:
        return random.choice(("-", "+", "not ", "!")) + _any(random, depth - 1)
    name = random.choice((*FUNCTIONS, "no_such"))
    least, most = FUNCTIONS.get(name, (0, 1))
    number = random.randint(max(0, least - (random.random() < 0.1)), min(most, 4) + (random.random() < 0.1))
    return f"{name}({', '.join(_any(random, depth - 1) for _ in range(number))})"


def _deep(random: Random) -> str:
    """Around the cap of nesting, of one kind or of all."""
    depth = random.choice((MAX_NESTING // 2, MAX_NESTING - 2, MAX_NESTING - 1, MAX_NESTING, MAX_NESTING * 20))
    kinds = random.choices(_WRAPPINGS, k=random.choice((1, 2, 5)))
    before, after = [], []
    for _ in range(depth // random.choice((1, 2))):
        opening, closing = random.choice(kinds)
        before.append(opening)
        after.append(closing)
    return "".join(before) + _any(random, 1) + "".join(reversed(after))


def _long(random: Random) -> str:
    """Around the cap of length."""
    piece = random.choice(
        (
            _any(random, 1) + random.choice((" + ", " and ", " or ", ", ", " * ", " ")),
            "9",
            "-",
            "[",
            "'a' ",
            "$.a",
            "a",
            "\\",
        )
    )
    text = piece * (random.choice((200, MAX_LENGTH - 20, MAX_LENGTH + 20, MAX_LENGTH * 5)) // len(piece))
    return random.choice(("", "[", "max(", "'")) + text + random.choice(("1", "1]", "1)", "'"))


def _attempt(random: Random) -> str:
    text = random.choice(ATTEMPTS)
    return random.choice((text, text, f"[{text}]", f"str({text})", f"{text} == {random.choice(ATTEMPTS)}"))
