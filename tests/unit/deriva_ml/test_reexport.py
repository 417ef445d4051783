"""Names are imported when they are first used."""

from __future__ import annotations

import importlib
import inspect
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import pytest

from deriva_ml.reexport import Forward, names_in_stub, room


def test_names_in_stub() -> None:
    stub = "from __future__ import annotations\nfrom a.b import C as C, D as E\nimport os\n"
    assert names_in_stub("\n".join(stub.splitlines()[1:])) == {"C": ("a.b", "C"), "E": ("a.b", "D")}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    home = tmp_path / "lazy_shop"
    home.mkdir()
    (home / "__init__.py").write_text(
        "from deriva_ml.reexport import from_stub\n__getattr__, __dir__, __all__ = from_stub(__name__, __file__)\n"
    )
    (home / "__init__.pyi").write_text(
        "from lazy_shop.shelf import Apple as Apple\nfrom lazy_shop.shelf import Pear as Fruit\n"
    )
    (home / "shelf.py").write_text("class Apple: pass\nclass Pear: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "lazy_shop"
    for name in [name for name in sys.modules if name.startswith("lazy_shop")]:
        del sys.modules[name]


def test_nothing_is_loaded_before_it_is_used(package: str) -> None:
    module = importlib.import_module(package)
    assert "lazy_shop.shelf" not in sys.modules
    assert {"Apple", "Fruit"} <= {*dir(module)}
    assert module.__all__ == ["Apple", "Fruit"]
    assert module.Fruit.__name__ == "Pear"
    assert "Fruit" in vars(module)
    assert importlib.import_module("lazy_shop.shelf").Apple is module.Apple
    with pytest.raises(AttributeError, match="module 'lazy_shop' has no attribute 'Plum'"):
        _ = module.Plum


def test_a_room_is_loaded_when_something_of_it_is_used_even_by_many_threads_at_once(package: str) -> None:
    shelf = room("lazy_shop.shelf")
    assert repr(shelf) == "<module 'lazy_shop.shelf', imported when it is used>"
    assert "lazy_shop.shelf" not in sys.modules
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: shelf.Apple, range(32)))
    assert found == {importlib.import_module("lazy_shop.shelf").Apple}
    with pytest.raises(AttributeError, match="Plum"):
        _ = shelf.Plum


def _count(till: list[int], more: int = 1, *, twice: bool = False) -> int:
    """Count what is in the till."""
    return (len(till) + more) * (2 if twice else 1)


def _shop(asked: list[str]) -> type:
    def find() -> object:
        asked.append("count")
        return _count

    class Shop:
        count = Forward(find, "till")

        def __init__(self) -> None:
            self.till = [1, 2]

    return Shop


def test_a_forward_looks_for_its_function_once_and_then_is_an_ordinary_method() -> None:
    asked: list[str] = []
    shop = _shop(asked)
    assert asked == []
    assert shop().count(twice=True) == 6
    assert asked == ["count"]
    assert inspect.isfunction(vars(shop)["count"])
    assert str(inspect.signature(shop.count)) == "(self, more: 'int' = 1, *, twice: 'bool' = False) -> 'int'"
    assert str(inspect.signature(shop().count)) == "(more: 'int' = 1, *, twice: 'bool' = False) -> 'int'"
    assert shop.count.__doc__ == "Count what is in the till."
    assert asked == ["count"]


def test_a_forward_can_be_called_by_what_is_derived_replaced_in_tests_and_used_by_threads_at_once() -> None:
    asked: list[str] = []
    shop = _shop(asked)

    class Corner(shop):  # type: ignore[valid-type, misc]
        def count(self, more: int = 1) -> int:
            return int(super().count(more)) + 100

    with mock.patch.object(shop, "count", return_value=7):
        assert shop().count() == 7
        assert Corner().count() == 107
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: Corner().count(), range(32))) == {103}
    assert "count" not in vars(Corner()) and shop.count(Corner()) == 3
    assert len({id(shop.count) for _ in range(3)}) == 1
