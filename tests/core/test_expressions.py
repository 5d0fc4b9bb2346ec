"""Expressions: what they give, what they refuse and where, and that a slow evaluator agrees."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepflow.core.operators import is_true
from stepflow.core.scope import UpstreamFailed, UpstreamSkipped
from stepflow.core.values import compile_condition, compile_value
from stepflow.errors import ExpressionError
from stepflow.model import expressions as nodes
from stepflow.model.expressions import (
    MAX_LENGTH,
    MAX_NESTING,
    ExpressionSyntaxError,
    Node,
    parse_expression,
    references_in,
)
from tests.core.world import STEPS, World


def evaluate(text: str) -> Any:
    return compile_value({"$expr": text}, STEPS).evaluate(World())


def judge(text: str, world: World | None = None) -> bool:
    return compile_condition({"$expr": text}, STEPS).evaluate(world or World())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("7 - 2 - 1", 4),
        ("8 / 2 / 2", 2),
        ("7 / 2", 3.5),
        ("7 % 4", 3),
        ("-3 + 1", -2),
        ("--3", 3),
        ("2 * -3", -6),
        ("9007199254740993 + 0", 9007199254740993),
        ("0.5 + 0.25", 0.75),
        ("1e3", 1000.0),
        ("'it\\'s' if false else \"a\\n\"", "a\n"),
        ("$.steps.done.output.n", 3),
        ('$.steps.done.output["a.b"]', "literal"),
        ("$.steps.done.output.a.b[-1]['c d']", "x"),
        ("$.steps.done.output.n + $.input.x", 4),
        ("$.variables.v.deep", True),
        ("$.run.id", "exec_1"),
        ("$.steps.done.status", "completed"),
        ("$.steps.failed.status", "failed"),
        ("$.steps.failed.error.code", "BROKEN"),
        ("$.steps.done.error", None),
        ("1 == 1.0", True),
        ("1 == true", False),
        ("[1, [true]] == [1, [1]]", False),
        ("null == null", True),
        ("'a' < 'b'", True),
        ("2 >= 2", True),
        ("not 0", True),
        ("not []", False),
        ("!'' && 1", True),
        ("0 or ''", False),
        ("0 || 'x'", True),
        ("1 and 2", True),
        ("'x' if 0 else 'y'", "y"),
        ("1 if true else 2 if true else 3", 1),
        ("2 in [1, 2]", True),
        ("'b' in 'abc'", True),
        ("'n' in $.steps.done.output", True),
        ("3 not in [1, 2]", True),
        ("true in [1]", False),
        ("len('äb')", 2),
        ("len($.steps.done.output.list)", 2),
        ("lower('AB') == 'ab' and upper('ab') == 'AB'", True),
        ("str(1.5)", "1.5"),
        ("str('a')", "a"),
        ("str([1, 'a'])", '[1,"a"]'),
        ("int('12') + int(3.9)", 15),
        ("float('1.5')", 1.5),
        ("min(3, 1, 2)", 1),
        ("max(['a', 'c', 'b'])", "c"),
        ("sum([1, 2.5])", 3.5),
        ("any([0, '', 1])", True),
        ("all([1, 0])", False),
        ("keys($.input)", ["x"]),
        ("values($.input)", [1]),
        ("join(['a', 1, null], '-')", "a-1-null"),
        ("split('a,b', ',')", ["a", "b"]),
        ("split(' a  b ')", ["a", "b"]),
        ("contains([1], 1)", True),
        ("now()", "2023-11-14T22:13:20.000Z"),
        ("exists($.input.y)", False),
        ("exists($.input.x)", True),
        ("exists($.steps.skipped.output)", False),
        ("default($.input.y, 5)", 5),
        ("default($.steps.null.output, 'd')", "d"),
        ("default($.steps.skipped.output.a, 'd')", "d"),
        ("default($.input.x, 5)", 1),
    ],
)
def test_an_expression_has_this_value(text: str, expected: Any) -> None:
    found = evaluate(text)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("text", "message", "column"),
    [
        ("", "The expression is empty", 0),
        ("1 +", "The expression ends too early", 3),
        ("1 2", "Unexpected '2'", 2),
        ("a.b", "Unexpected '.'", 1),
        ("foo", "Unknown word 'foo'", 0),
        ("None", "Unknown word 'None'", 0),
        ("input.x == 1", "Unknown word 'input'", 0),
        ("lenn('a')", "Unknown function 'lenn'", 0),
        ("len()", "len() takes 1 argument, not 0", 0),
        ("1 < 2 < 3", "Comparisons cannot be chained", 6),
        ("(1", "Expected ')', not the end", 2),
        ("[1 2]", "Expected ',', not '2'", 3),
        ("'abc", 'Unexpected "\'"', 0),
        ("1 = 1", "Unexpected '='", 2),
        ("$.nowhere", "'$.nowhere' refers to nothing", 0),
        ("$.run.name", "'$.run.name' is unknown", 0),
        ("$.steps.done", "'$.steps.done' reads nothing of the step", 0),
        ("$.steps.done.outputs.x", "'$.steps.done.outputs.x' reads nothing of the step", 0),
        ("exists(1)", "exists() takes a reference", 0),
        ("__import__('os')", "Unknown function '__import__'", 0),
        ("lambda: 1", "Unexpected ':'", 6),
        ("1 if 2", "Expected 'else', not the end", 6),
        ("(" * (MAX_NESTING + 1) + "1", f"Nested deeper than {MAX_NESTING} levels", MAX_NESTING),
        ("1" * (MAX_LENGTH + 1), f"An expression has at most {MAX_LENGTH:,} characters", 0),
    ],
)
def test_a_mistake_is_said_with_its_column(text: str, message: str, column: int) -> None:
    with pytest.raises(ExpressionSyntaxError) as raised:
        parse_expression(text, STEPS)
    assert (raised.value.message, raised.value.column) == (message, column)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 < 'a'", "a number < a text: only numbers with numbers, text with text"),
        ("true < false", "a boolean < a boolean: only numbers with numbers, text with text"),
        ("'a' + 1", "'+' takes numbers, not a text"),
        ("1 / 0", "1 / 0 has no value"),
        ("1e308 * 10", "The result is too large a number"),
        ("1 in 2", "2 is a number; only lists, texts and objects contain something"),
        ("len(1)", "len() takes a list, a text or an object, not a number"),
        ("int('x')", 'int() takes a whole number, not "x"'),
        ("min([])", "min() of an empty list has no value"),
        ("$.input.y", "Path $.y not found in the run's input"),
        ("$.input.x-1", "Path $.x-1 not found in the run's input; a minus between two values needs spaces around it"),
        ("$.steps.done.output.n-m", "Path $.n-m not found in the output of step 'done'; a minus between two values"),
        ("float('nan')", 'float() takes a number, not "nan"'),
        ("float('inf')", 'float() takes a number, not "inf"'),
    ],
)
def test_what_has_no_value_fails_with_the_expression_in_its_details(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as raised:
        evaluate(text)
    assert raised.value.message.startswith(message)
    assert raised.value.details["expression"] == text


def test_a_path_that_is_missing_beside_no_such_key_says_nothing_of_a_minus() -> None:
    with pytest.raises(ExpressionError) as raised:
        evaluate("$.input.y-1")
    assert raised.value.message == "Path $.y-1 not found in the run's input"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("input.x == 1", "references begin with $.: write $.input.x"),
        ("1 == inputs.x", "references begin with $.: write $.input.x"),
        ("$.input.x == steps.done.output.n", "references begin with $.: write $.steps.done.output.n"),
        ("variable.v", "references begin with $.: write $.variables.v"),
        ("steps", "write $.steps"),
        ("input.", "attributes are not part of it"),
        ("'a'.upper()", "attributes are not part of it"),
        ("{'a': 1}", "objects are written as YAML, with expressions for their values"),
        ("$.input.n-$.input.k", "a minus between two values needs spaces around it"),
    ],
)
def test_a_mistake_has_a_way_out(text: str, hint: str) -> None:
    with pytest.raises(ExpressionSyntaxError) as raised:
        parse_expression(text, STEPS)
    assert raised.value.hint == hint


def test_arithmetic_cannot_be_made_to_grow_without_end() -> None:
    huge = 10**3999
    with pytest.raises(ExpressionError, match="more than 4,000 digits"):
        compile_value({"$expr": " * ".join(["$.input"] * 300)}, {}).evaluate(World(huge))


def test_text_cannot_be_made_to_grow_without_end() -> None:
    for text in (
        "str([" * 15 + "$.input" + "])" * 15,  # each doubles the backslashes
        "join(split(join(split($.input, 'a'), $.input), 'a'), $.input)",
    ):
        with pytest.raises(ExpressionError, match="more than 10,000,000 characters"):
            compile_value({"$expr": text}, {}).evaluate(World('a"' * 500))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$.steps.failed.status == 'failed'", True),
        ("$.steps.failed.error.code == 'BROKEN'", True),
        ("$.steps.failed.output == null", True),
        ("$.steps.skipped.output.a == null", True),
        ("$.input.y", False),
        ("not $.input.y", True),
        ("$.input.y == null and $.input.x == 1", True),
        ("default($.steps.failed.output, 1)", True),
        ("exists($.steps.failed.output)", False),
        ("$.steps.done.output.list", True),
        ("[]", True),
        ("''", False),
    ],
)
def test_a_condition_counts_what_is_not_there_as_null(text: str, expected: bool) -> None:
    assert judge(text) is expected


def test_a_condition_warns_of_what_it_counted_as_null_and_still_fails_on_nonsense() -> None:
    world = World()
    assert judge("$.input.y == null and $.steps.failed.output == null", world)
    assert world.warnings == [
        "Path $.y not found in the run's input; counted as null",
        "Step 'failed' failed; counted as null",
    ]
    with pytest.raises(ExpressionError, match="a text < a number"):
        judge("'a' < 1")


def test_an_input_that_needs_a_failed_or_skipped_step_has_no_value() -> None:
    with pytest.raises(UpstreamFailed):
        evaluate("[$.steps.skipped.output, $.steps.failed.output]")
    with pytest.raises(UpstreamSkipped):
        evaluate("$.steps.skipped.output.x")
    with pytest.raises(UpstreamFailed):
        evaluate("default($.steps.failed.output, 1)")


@pytest.mark.parametrize("sign", ["==", "<", "in", "+", "*"])
def test_a_failed_operand_beats_a_skipped_one(sign: str) -> None:
    skipped, failed = "$.steps.skipped.output", "$.steps.failed.output"
    for left, right in ((skipped, failed), (failed, skipped)):
        with pytest.raises(UpstreamFailed):
            evaluate(f"{left} {sign} {right}")
    with pytest.raises(UpstreamSkipped):
        evaluate(f"{skipped} {sign} $.steps.done.output.n")


def test_text_around_expressions_keeps_strings_bare_and_writes_the_rest_as_json() -> None:
    raw = {"$text": ["n=", {"$expr": "$.steps.done.output.n"}, " ", {"$expr": "'a'"}, {"$expr": "[1, 'b', null]"}]}
    assert compile_value(raw, STEPS).evaluate(World()) == 'n=3 a[1,"b",null]'


def test_the_longest_known_step_id_is_meant() -> None:
    steps = ("a", "a.b", "fetch-user")
    for text, name in [
        ("$.steps.a.b.output.x", "a.b"),
        ('$.steps["a.b"].output.x', "a.b"),
        ("$.steps.a.output.x", "a"),
        ("$.steps.fetch-user.output.x", "fetch-user"),
    ]:
        node = parse_expression(text, steps)
        assert isinstance(node, nodes.Reference)
        assert (node.name, node.path) == (name, ("x",))


def test_every_reference_is_found() -> None:
    node = parse_expression("len([$.input.a, -$.input.b]) if not $.input.c else default($.input.d, $.input.e) < 1", ())
    assert {(one.path[0], tolerant) for one, tolerant in references_in(node)} == {
        ("a", False),
        ("b", False),
        ("c", False),
        ("d", True),
        ("e", False),
    }


def test_long_chains_are_no_recursion() -> None:
    assert evaluate(" + ".join(["1"] * 900)) == 900
    assert evaluate(" or ".join(["0"] * 700)) is False


# Against a slow evaluator that walks the text's own tree


NUMBERS = st.integers(-50, 50) | st.floats(-5, 5, allow_nan=False).map(lambda x: round(x, 2))
LITERALS = NUMBERS | st.booleans() | st.none() | st.sampled_from(["", "a", "b", "ab", "0"])


def _written(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"({value})" if isinstance(value, int | float) and value < 0 else repr(value)


class Tree:
    """An expression as text, and what it should give, worked out the obvious way."""

    def __init__(self, text: str, value: Any) -> None:
        self.text = text
        self.value = value


class Refused:
    """It has no value."""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)


def _combined(left: Tree, operator: str, right: Tree) -> Tree:
    text = f"({left.text} {operator} {right.text})"
    a, b = left.value, right.value
    if operator in ("and", "or"):
        if a is Refused or (is_true(a) is (operator == "and") and b is Refused):
            return Tree(text, Refused)
        return Tree(text, (is_true(a) and is_true(b)) if operator == "and" else (is_true(a) or is_true(b)))
    if Refused in (a, b):
        return Tree(text, Refused)
    if operator in ("==", "!="):
        return Tree(text, _same(a, b) is (operator == "=="))
    numbers = _is_number(a) and _is_number(b)
    if operator in ("<", ">="):
        if not numbers and not (isinstance(a, str) and isinstance(b, str)):
            return Tree(text, Refused)
        return Tree(text, a < b if operator == "<" else a >= b)
    if not numbers or (operator in "/%" and b == 0):
        return Tree(text, Refused)
    if operator == "/":
        whole = isinstance(a, int) and isinstance(b, int) and a % b == 0
        return Tree(text, a // b if whole else a / b)
    return Tree(text, {"+": lambda: a + b, "-": lambda: a - b, "*": lambda: a * b, "%": lambda: a % b}[operator]())


def _chosen(condition: Tree, then: Tree, otherwise: Tree) -> Tree:
    text = f"({then.text} if {condition.text} else {otherwise.text})"
    if condition.value is Refused:
        return Tree(text, Refused)
    return Tree(text, then.value if is_true(condition.value) else otherwise.value)


def _negated(one: Tree) -> Tree:
    return Tree(f"(not {one.text})", Refused if one.value is Refused else not is_true(one.value))


TREES = st.recursive(
    LITERALS.map(lambda value: Tree(_written(value), value)),
    lambda inner: (
        st.builds(
            _combined, inner, st.sampled_from(["and", "or", "==", "!=", "<", ">=", "+", "-", "*", "/", "%"]), inner
        )
        | st.builds(_chosen, inner, inner, inner)
        | st.builds(_negated, inner)
    ),
    max_leaves=12,
)


@given(TREES)
def test_a_slow_evaluator_agrees(tree: Tree) -> None:
    try:
        found = evaluate(tree.text)
    except ExpressionError:
        found = Refused
    if isinstance(tree.value, float) and isinstance(found, float):
        assert math.isclose(found, tree.value)
    else:
        assert found == tree.value
        assert type(found) is type(tree.value)


@given(st.text(alphabet="$.steps done input[]\"'()<>=!&|+-*/%,0123456789eifnotrlsax\n\\", max_size=60))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    column = 0
    node: Node = nodes.Literally(None)
    try:
        node = parse_expression(text, STEPS)
    except ExpressionSyntaxError as error:
        column = error.column
    assert 0 <= column <= len(text)
    assert len(list(references_in(node))) <= text.count("$")
