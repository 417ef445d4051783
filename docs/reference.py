"""Hook of mkdocs: pages of the reference, made of the public names that the stubs of the packages list."""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
sys.path.insert(0, str(SOURCE))

from deriva_ml.reexport import names_in_stub

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
    return {room: sorted(names, key=lambda name: name.rpartition(".")[2].lower()) for room, names in found.items()}


def on_files(files: Files, config: Any) -> Files:
    """Add a page per room."""
    for room, names in sorted(public_objects().items()):
        title = TITLES.get(room, room.capitalize())
        content = "\n\n".join([f"# {title}", *map(_block, names)])
        files.append(File.generated(config, f"reference/python/{room}.md", content=content))
    return files


def _block(name: str) -> str:
    # Its methods are made when the module is loaded, so that reading the source alone does not find them.
    looked_at = "\n    options:\n      force_inspection: true" if name == "deriva_ml.ml.DerivaML" else ""
    return f"::: {name}{looked_at}"
