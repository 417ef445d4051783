"""Put rows, files and references to files into a bag folder, and read rows back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deriva_ml.bag import layout


@dataclass(frozen=True)
class FetchEntry:
    """A file of a bag whose bytes are elsewhere.

    Parameters
    ----------
    url : str
        Where the bytes are, ``file:`` URLs included.
    length : int, optional
        In bytes.
    path : str
        Place inside the bag.
    md5 : str
        In hex.
    sha256 : str, optional
    """

    url: str
    length: int | None
    path: str
    md5: str
    sha256: str | None = None


def write_document(folder: Path, path: str, document: Any) -> Path:
    """Write a JSON document at a place inside the bag."""
    target = _target(folder, path)
    target.write_text(json.dumps(document, ensure_ascii=False, default=str), encoding="utf-8")
    return target


def write_json_rows(folder: Path, schema: str, table: str, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write rows of a table as JSON lines.

    Returns
    -------
    int
        Number of rows.
    """
    count = 0
    with _target(folder, layout.rows_json(schema, table)).open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False, default=str))
            file.write("\n")
            count += 1
    return count


def read_json_rows(folder: Path, schema: str, table: str) -> Iterator[dict[str, Any]]:
    """Rows of a table that `write_json_rows` has written."""
    with (folder / layout.rows_json(schema, table)).open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def json_tables(folder: Path) -> list[tuple[str, str]]:
    """Schema and name of the tables whose rows a bag folder has as JSON lines."""
    places = (
        layout.parse_rows(path.relative_to(folder).as_posix())
        for path in sorted((folder / layout.DATA).glob("*/*.jsonl"))
    )
    return [(place.schema, place.table) for place in places if place is not None]


def copy_file(folder: Path, path: str, source: Path) -> Path:
    """Put a copy of a file inside the bag; the copy shares its blocks with the source where the file system can."""
    return Path(shutil.copyfile(source, _target(folder, path)))


def _target(folder: Path, path: str) -> Path:
    target = folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    return target
