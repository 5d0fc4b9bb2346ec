"""The text of an expression, read into nodes: `$.steps.fetch.output.n > 3 and not $.input.dry_run`.

A tokenizer and a precedence parser, linear in the text, which is capped in length and nesting. What the nodes mean is
said by `core.expressions`; what is wrong with a text is an `ExpressionSyntaxError` with its column.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Literal

import msgspec

from stepflow.errors import ExpressionError
from stepflow.model.flow import Json
from stepflow.model.paths import Key, Path, parse_path

MAX_LENGTH = 4000
"""Characters."""
MAX_NESTING = 32

FUNCTIONS: Mapping[str, tuple[int, int]] = {
    "len": (1, 1),
    "lower": (1, 1),
    "upper": (1, 1),
    "str": (1, 1),
    "int": (1, 1),
    "float": (1, 1),
    "min": (1, 100),
    "max": (1, 100),
    "sum": (1, 1),
    "any": (1, 1),
    "all": (1, 1),
    "keys": (1, 1),
    "values": (1, 1),
    "join": (1, 2),
    "split": (1, 2),
    "now": (0, 0),
    "contains": (2, 2),
    "exists": (1, 1),
    "default": (2, 2),
}
"""The fewest and the most arguments of each function."""


class ExpressionSyntaxError(ExpressionError):
    def __init__(self, message: str, column: int, hint: str = "") -> None:
        super().__init__(message, {"column": column})
        self.column = column
        """From 0, in the expression's text."""
        self.hint = hint


class Literally(msgspec.Struct, frozen=True):
    value: Json


class Reference(msgspec.Struct, frozen=True):
    """`part`: of a step, what is read of it."""

    kind: Literal["step", "input", "variable", "run"]
    name: str
    part: Literal["output", "status", "error"]
    path: Path
    column: int
    written: str


class Operation(msgspec.Struct, frozen=True):
    """`or`, `and`: all operands in order. `+ - * / %`: the first operand, then each operator with its operand."""

    operators: tuple[str, ...]
    operands: tuple[Node, ...]
    column: int


class Comparison(msgspec.Struct, frozen=True):
    operator: str
    left: Node
    right: Node
    column: int


class Not(msgspec.Struct, frozen=True):
    operand: Node


class Negative(msgspec.Struct, frozen=True):
    operand: Node
    column: int


class Choice(msgspec.Struct, frozen=True):
    condition: Node
    then: Node
    otherwise: Node


class Items(msgspec.Struct, frozen=True):
    items: tuple[Node, ...]


class Call(msgspec.Struct, frozen=True):
    function: str
    arguments: tuple[Node, ...]
    column: int


Node = Literally | Reference | Operation | Comparison | Not | Negative | Choice | Items | Call


def parse_expression(text: str, steps: Collection[str] = ()) -> Node:
    """`steps`: the keys of the flow's steps; of those that a reference could mean, the longest is meant."""
    if len(text) > MAX_LENGTH:
        raise ExpressionSyntaxError(f"An expression has at most {MAX_LENGTH:,} characters", 0, "compute it in a step")
    return _Parser(text, steps).parse()


def references_in(node: Node) -> Iterator[tuple[Reference, bool]]:
    """Every reference in it, and whether it is only looked at tolerantly (`exists`, `default`)."""
    stack: list[tuple[Node, bool]] = [(node, False)]
    while stack:
        one, tolerant = stack.pop()
        match one:
            case Reference():
                yield one, tolerant
            case Operation():
                stack.extend((operand, tolerant) for operand in one.operands)
            case Comparison():
                stack += [(one.left, tolerant), (one.right, tolerant)]
            case Not() | Negative():
                stack.append((one.operand, tolerant))
            case Choice():
                stack += [(one.condition, tolerant), (one.then, tolerant), (one.otherwise, tolerant)]
            case Items():
                stack.extend((item, tolerant) for item in one.items)
            case Call():
                first_is_tolerant = tolerant or one.function in ("exists", "default")
                stack.extend((item, first_is_tolerant if i == 0 else tolerant) for i, item in enumerate(one.arguments))
            case Literally():
                pass


def handed_on(node: Node) -> frozenset[Reference]:
    """The references whose value may be the expression's own, as it is; with all others it works."""
    match node:
        case Reference():
            return frozenset((node,))
        case Choice():
            return handed_on(node.then) | handed_on(node.otherwise)
        case Call("default", arguments):
            return frozenset().union(*map(handed_on, arguments))
        case _:
            return frozenset()


# Tokens

_TOKEN = re.compile(
    r"""
    \s* (?:
      (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)
    | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<reference>\$(?:\.[\w-]+|\[-?\d+\]|\["(?:[^"\\]|\\.)*"\]|\['[^']*'\])*)
    | (?P<word>[^\W\d]\w*)
    | (?P<operator>==|!=|<=|>=|&&|\|\||[<>!+\-*/%()\[\],])
    )
    """,
    re.VERBOSE,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}
_WORD_OPERATORS = {"and": "and", "or": "or", "not": "not", "in": "in", "if": "if", "else": "else"}
_SAME = {"&&": "and", "||": "or", "!": "not"}
_CONSTANTS: dict[str, Json] = {"true": True, "false": False, "null": None}
_OTHER_CONSTANTS = {"None": "null", "none": "null", "nil": "null", "True": "true", "False": "false"}
_COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">=", "in", "not in"})
_ROOTS = {"input": "input", "inputs": "input", "steps": "steps", "step": "steps", "variables": "variables",
          "variable": "variables", "run": "run"}  # fmt: skip
"""What a reference begins with after `$.`, by the words that are taken for it."""
_WITHOUT_ROOT = re.compile(rf"\b({'|'.join(_ROOTS)})\.\w[\w.-]*")
_BAD_CHARACTERS = {
    "=": "compare with ==",
    "&": "write `and`",
    "|": "write `or`",
    ".": "attributes are not part of it",
    "{": "objects are written as YAML, with expressions for their values",
    "`": "text stands in quotes",
}


class _Token(msgspec.Struct, frozen=True):
    kind: str
    text: str
    column: int


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise _no_token(text, position)
        kind = str(match.lastgroup)
        word, column = match[kind], match.start(kind)
        if kind == "operator" or (kind == "word" and word in _WORD_OPERATORS):
            kind, word = "operator", _SAME.get(word, word)
        found.append(_Token(kind, word, column))
        position = match.end()
    found.append(_Token("end", "", len(text)))
    return found


def _no_token(text: str, position: int) -> ExpressionSyntaxError:
    position += len(text[position:]) - len(text[position:].lstrip())
    character = text[position]
    if character == ".":
        for meant in _WITHOUT_ROOT.finditer(text):
            if meant.end(1) == position:
                hint = f"references begin with $.: write $.{_ROOTS[meant[1]]}{meant[0].removeprefix(meant[1])}"
                return ExpressionSyntaxError(f"Unknown word '{meant[1]}'", meant.start(), hint)
    hint = "the closing quote is missing" if character in "\"'" else _BAD_CHARACTERS.get(character, "")
    return ExpressionSyntaxError(f"Unexpected {character!r}", position, hint)


# Precedence: choice < or < and < not < comparison < sum < product < sign < the rest


class _Parser:
    def __init__(self, text: str, steps: Collection[str]) -> None:
        self._tokens = _tokens(text)
        self._at = 0
        self._steps = steps
        self._depth = 0

    def parse(self) -> Node:
        if self._tokens[0].kind == "end":
            raise ExpressionSyntaxError("The expression is empty", 0)
        node = self._choice()
        token = self._tokens[self._at]
        if token.kind != "end":
            raise self._unexpected(token)
        return node

    def _peek(self, *operators: str) -> bool:
        token = self._tokens[self._at]
        return token.kind == "operator" and token.text in operators

    def _take(self) -> _Token:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def _expect(self, operator: str) -> None:
        token = self._tokens[self._at]
        if not self._peek(operator):
            found = "the end" if token.kind == "end" else repr(token.text)
            raise ExpressionSyntaxError(f"Expected '{operator}', not {found}", token.column)
        self._at += 1

    def _unexpected(self, token: _Token) -> ExpressionSyntaxError:
        if token.kind == "end":
            return ExpressionSyntaxError("The expression ends too early", token.column)
        before = self._tokens[self._at - 1] if self._at else None
        hint = ""
        if before is not None and before.kind == "word" and token.kind in ("word", "text", "number", "reference"):
            hint = "text stands in quotes"
        elif before is not None and before.kind == "reference":
            hint = 'a reference ends before it; keys with other characters are written ["a b"]'
            if before.text.endswith("-"):
                hint = "a minus between two values needs spaces around it"
        return ExpressionSyntaxError(f"Unexpected {token.text!r}", token.column, hint)

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_NESTING:
            column = self._tokens[self._at].column
            raise ExpressionSyntaxError(f"Nested deeper than {MAX_NESTING} levels", column, "compute it in a step")

    def _choice(self) -> Node:
        self._deeper()
        node = self._or()
        if self._peek("if"):
            self._take()
            condition = self._or()
            self._expect("else")
            node = Choice(condition, node, self._choice())
        self._depth -= 1
        return node

    def _or(self) -> Node:
        first = self._and()
        return self._chain("or", first, self._and) if self._peek("or") else first

    def _and(self) -> Node:
        first = self._not()
        return self._chain("and", first, self._not) if self._peek("and") else first

    def _chain(self, operator: str, first: Node, more: object) -> Node:
        operands = [first]
        column = self._tokens[self._at].column
        while self._peek(operator):
            self._take()
            operands.append(more())  # type: ignore[operator]  # one of the methods above
        return Operation((operator,), tuple(operands), column)

    def _not(self) -> Node:
        if self._peek("not"):
            self._deeper()
            self._take()
            node: Node = Not(self._not())
            self._depth -= 1
            return node
        return self._comparison()

    def _comparison(self) -> Node:
        left = self._sum()
        operator = self._comparison_operator()
        if operator is None:
            return left
        column = self._tokens[self._at - 1].column
        node = Comparison(operator, left, self._sum(), column)
        if self._comparison_operator() is not None:
            column = self._tokens[self._at - 1].column
            raise ExpressionSyntaxError("Comparisons cannot be chained", column, "join them with `and`")
        return node

    def _comparison_operator(self) -> str | None:
        if self._peek("not") and self._tokens[self._at + 1].text == "in":
            self._at += 2
            return "not in"
        token = self._tokens[self._at]
        if token.kind == "operator" and token.text in _COMPARISONS:
            self._at += 1
            return token.text
        return None

    def _sum(self) -> Node:
        return self._arithmetic(("+", "-"), self._product(), self._product)

    def _product(self) -> Node:
        # Most operands are a word of their own, with no sign and no arithmetic around them.
        first = self._signed() if self._tokens[self._at].kind == "operator" else self._primary()
        return self._arithmetic(("*", "/", "%"), first, self._signed)

    def _arithmetic(self, signs: tuple[str, ...], first: Node, operand: object) -> Node:
        token = self._tokens[self._at]
        if token.kind != "operator" or token.text not in signs:
            return first
        column = self._tokens[self._at].column
        operators: list[str] = []
        operands = [first]
        while self._peek(*signs):
            operators.append(self._take().text)
            operands.append(operand())  # type: ignore[operator]  # one of the methods of this class
        return Operation(tuple(operators), tuple(operands), column)

    def _signed(self) -> Node:
        if not self._peek("-", "+"):
            return self._primary()
        self._deeper()
        token = self._take()
        operand = self._signed()
        self._depth -= 1
        if token.text == "+":
            return operand
        if isinstance(operand, Literally) and type(operand.value) in (int, float):
            return Literally(-operand.value)
        return Negative(operand, token.column)

    def _primary(self) -> Node:
        token = self._take()
        if token.kind == "number":
            return Literally(_number(token))
        if token.kind == "text":
            return Literally(_unquoted(token.text))
        if token.kind == "reference":
            return _reference(token, self._steps)
        if token.kind == "word":
            return self._word(token)
        if token.kind == "operator" and token.text == "(":
            node = self._choice()
            self._expect(")")
            return node
        if token.kind == "operator" and token.text == "[":
            return Items(self._listed("]"))
        self._at -= 1
        raise self._unexpected(token)

    def _word(self, token: _Token) -> Node:
        if token.text in _CONSTANTS:
            return Literally(_CONSTANTS[token.text])
        if self._peek("("):
            return self._call(token)
        hint = "text stands in quotes, references begin with $."
        if token.text in _OTHER_CONSTANTS:
            hint = f"write {_OTHER_CONSTANTS[token.text]}"
        elif token.text in _ROOTS:
            hint = f"write $.{_ROOTS[token.text]}"
        elif token.text in FUNCTIONS:
            hint = f"a function is called with parentheses: {token.text}(…)"
        raise ExpressionSyntaxError(f"Unknown word '{token.text}'", token.column, hint)

    def _call(self, token: _Token) -> Node:
        name = token.text
        if name not in FUNCTIONS:
            close = get_close_matches(name, FUNCTIONS, n=1)
            hint = f"did you mean '{close[0]}'?" if close else f"there are {', '.join(FUNCTIONS)}"
            raise ExpressionSyntaxError(f"Unknown function '{name}'", token.column, hint)
        self._take()
        arguments = self._listed(")")
        least, most = FUNCTIONS[name]
        if not least <= len(arguments) <= most:
            takes = str(least) if least == most else f"{least} to {most}"
            noun = "argument" if takes == "1" else "arguments"
            raise ExpressionSyntaxError(f"{name}() takes {takes} {noun}, not {len(arguments)}", token.column)
        if name == "exists" and not isinstance(arguments[0], Reference):
            raise ExpressionSyntaxError("exists() takes a reference", token.column, "like exists($.input.name)")
        return Call(name, arguments, token.column)

    def _listed(self, end: str) -> tuple[Node, ...]:
        items: list[Node] = []
        while not self._peek(end):
            items.append(self._choice())
            if not self._peek(end):
                self._expect(",")
        self._take()
        return tuple(items)


def _number(token: _Token) -> int | float:
    if token.text.isdigit():
        return int(token.text)
    number = float(token.text)
    if number == float("inf"):
        raise ExpressionSyntaxError(f"{token.text} is too large a number", token.column)
    return number


def _unquoted(text: str) -> str:
    if "\\" not in text:
        return text[1:-1]
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), text[1:-1], flags=re.DOTALL)


# References


def _reference(token: _Token, steps: Collection[str]) -> Reference:
    try:
        keys = parse_path(token.text)
    except ValueError as error:
        raise ExpressionSyntaxError(str(error), token.column) from None
    match keys:
        case ("input", *rest):
            return Reference("input", "", "output", tuple(rest), token.column, token.text)
        case ("variables", str(name), *rest):
            return Reference("variable", name, "output", tuple(rest), token.column, token.text)
        case ("run", "id"):
            return Reference("run", "id", "output", (), token.column, token.text)
        case ("run", *_):
            raise ExpressionSyntaxError(f"'{token.text}' is unknown", token.column, "of the run there is $.run.id")
        case ("steps", str(), *_):
            return _step_reference(keys[1:], token, steps)
    hint = "references begin with $.input, $.steps.ID.output, $.variables.NAME or $.run.id"
    raise ExpressionSyntaxError(f"'{token.text}' refers to nothing", token.column, hint)


def _step_reference(keys: tuple[Key, ...], token: _Token, steps: Collection[str]) -> Reference:
    """The longest known step id matches, so an id with a dot may be written plainly where nothing else is meant."""
    name = longer = str(keys[0])
    length = 1
    for end, key in enumerate(keys[1:], start=2):
        if not isinstance(key, str):
            break
        longer = f"{longer}.{key}"
        if longer in steps:
            name, length = longer, end
    match keys[length:]:
        case ("output", *path):
            return Reference("step", name, "output", tuple(path), token.column, token.text)
        case ("status",):
            return Reference("step", name, "status", (), token.column, token.text)
        case ("error", *path):
            return Reference("step", name, "error", tuple(path), token.column, token.text)
    hint = f"write it like $.steps.{name}.output.field, .status or .error.code"
    raise ExpressionSyntaxError(f"'{token.text}' reads nothing of the step", token.column, hint)
