"""Names are imported when they are first used."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from deriva_ml.reexport import names_in_stub


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
