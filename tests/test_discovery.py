"""Finding what a folder offers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepflow.discovery import ForgottenConstantError, discover


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    package = tmp_path / "offered_things"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    yield package
    for name in [name for name in sys.modules if name.split(".")[0] == package.name]:
        del sys.modules[name]


def test_adding_a_file_adds_the_thing(folder: Path) -> None:
    (folder / "b.py").write_text("THINGS = ('b1', 'b2')\n")
    (folder / "a.py").write_text("THINGS = ('a',)\n")
    assert discover("offered_things", "THINGS", str) == ("a", "b1", "b2")


def test_private_modules_packages_and_named_ones_offer_nothing(folder: Path) -> None:
    (folder / "a.py").write_text("THINGS = ('a',)\n")
    (folder / "_served.py").write_text("raise RuntimeError\n")
    (folder / "left_out.py").write_text("raise RuntimeError\n")
    (folder / "deeper").mkdir()
    (folder / "deeper" / "__init__.py").write_text("raise RuntimeError\n")
    assert discover("offered_things", "THINGS", str, besides={"left_out"}) == ("a",)


@pytest.mark.parametrize("text", ["", "THINGS = ['a']\n", "THINGS = (1,)\n", "THINGS = 'a'\n"])
def test_a_module_that_forgets_its_constant_fails_with_the_way_out(folder: Path, text: str) -> None:
    (folder / "a.py").write_text(text)
    with pytest.raises(ForgottenConstantError) as caught:
        discover("offered_things", "THINGS", str)
    assert str(folder / "a.py") in str(caught.value)
    assert "`THINGS: tuple[str, ...]`" in str(caught.value)


def test_a_module_that_fails_is_not_passed_over(folder: Path) -> None:
    (folder / "a.py").write_text("1 / 0\n")
    with pytest.raises(ZeroDivisionError):
        discover("offered_things", "THINGS", str)


def test_every_public_name_of_the_package_is_there() -> None:
    import stepflow

    for name in stepflow.__all__:
        assert getattr(stepflow, name).__name__ == name
        assert name in dir(stepflow)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        stepflow.nothing  # noqa: B018 - asking is the test
