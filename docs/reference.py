"""Hooks of mkdocs: the first page, and pages of the reference, made of what the repository has anyway."""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

from deriva_ml.reexport import names_in_stub

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
_BODY_ONLY = "{show_root_heading: false, show_root_toc_entry: false, show_signature: false}"
TITLES = {
    "ml": "DerivaML",
    "errors": "Errors",
    "names": "Words of the field",
    "specs": "What a run may ask for",
    "records": "Records",
    "model": "Models and definitions of tables",
}


def public_objects() -> dict[str, list[str]]:
    """Where each public object is defined, by the room that it is in."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for stub in sorted((SOURCE / "deriva_ml").rglob("*.pyi")):
        for module, name in names_in_stub(stub.read_text(encoding="utf-8")).values():
            found[module.split(".")[1] if "." in module else "ml"].add(f"{module}.{name}")
    return {
        room: sorted(names, key=lambda name: name.rpartition(".")[2].lower()) for room, names in found.items()
    }


def on_config(config: Any) -> Any:
    """Order the pages: folders as they are, pages by name."""
    api = [{_title(room): f"reference/python/{room}.md"} for room in sorted(public_objects())]
    config.nav = [
        {"DerivaML": "index.md"},
        {"Tutorial": _pages("tutorial")},
        {"How to": _pages("howto")},
        {"Explanation": _pages("explanation")},
        {"Reference": [*_pages("reference"), {"Python": api}]},
        {"Words": "words.md"},
        {"Contributing": "contributing.md"},
    ]
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the first page, that for contributors, and a page of the reference per room."""
    for source, page in (("README.md", "index.md"), ("CONTRIBUTING.md", "contributing.md")):
        text = (
            (ROOT / source)
            .read_text(encoding="utf-8")
            .replace("](docs/", "](")
            .replace("CONTRIBUTING.md", "contributing.md")
        )
        first = _pages("howto")[0]
        files.append(File.generated(config, page, content=text.replace("](howto)", f"]({first})")))
    for room, names in public_objects().items():
        blocks = [f"# {_title(room)}", *(f"::: {name}" for name in names)]
        if room == "ml":
            blocks += _forwarded()
        files.append(File.generated(config, f"reference/python/{room}.md", content="\n\n".join(blocks)))
    return files


def _title(room: str) -> str:
    return TITLES.get(room, room.capitalize())


def _pages(folder: str) -> list[str]:
    return [f"{folder}/{page.name}" for page in sorted((ROOT / "docs" / folder).glob("*.md"))]


def _forwarded() -> Iterator[str]:
    """Methods of `DerivaML` that lead to functions of rooms; reading its source alone does not find them."""
    from deriva_ml import DerivaML

    yield "## Methods"
    for name in sorted(vars(DerivaML)):
        method = getattr(DerivaML, name)
        function = inspect.unwrap(method) if callable(method) else method
        if name.startswith("_") or function is method:
            continue
        signature = inspect.signature(method)
        _, *parameters = signature.parameters.values()
        shown = str(signature.replace(parameters=parameters)).replace("'", "")
        yield f"### ml.{name}"
        yield f"```python\nml.{name}{shown}\n```"
        yield f"::: {function.__module__}.{function.__qualname__}\n    options: {_BODY_ONLY}"
