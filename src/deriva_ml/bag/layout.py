"""Where things are inside a bag; pure arithmetic on names.

::

    bagit.txt, bag-info.txt, manifest-md5.txt, tagmanifest-md5.txt
    fetch.txt                                       files that are elsewhere: URL, length, path
    data/schema.json                                model document
    data/<schema>/<Table>.csv                       rows, as other tools read them
    data/<schema>/<Table>.jsonl                     rows, with exact JSON values
    data/assets/<AssetTable>/<RID>/<file name>      files of asset rows
    metadata/deriva-bag-provenance.json             who made it, of what

Paths inside a bag are relative, with forward slashes; characters that a path or a manifest line cannot hold are
percent-encoded.
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple
from urllib.parse import quote, unquote

DATA = "data"
ASSETS = "data/assets"
SCHEMA_DOCUMENT = "data/schema.json"
PROVENANCE = "metadata/deriva-bag-provenance.json"
FETCH = "fetch.txt"
BAG_INFO = "bag-info.txt"
PROFILE = "https://raw.githubusercontent.com/fair-research/bdbag/master/profiles/bdbag-profile.json"

# Unreserved characters of file systems and of manifest lines; all else is encoded.
_NAME_SAFE = " !#$&'()+,;=@[]^_`{}~"


class TableFile(NamedTuple):
    """A file of rows inside a bag."""

    schema: str
    table: str
    suffix: str


class AssetFile(NamedTuple):
    """A file of an asset row inside a bag."""

    table: str
    rid: str
    file_name: str


_LONGEST = 255
"""Bytes of a name on usual file systems."""

_SUFFIX = 20


def encoded(name: str) -> str:
    """`name` as one component of a path in a bag; one that would be too long is cut.

    Examples
    --------
    >>> encoded("Größe 5%.txt")
    'Größe 5%25.txt'
    """
    text = "".join(map(_encoded, name))
    if text.endswith(" "):
        # Whoever reads a manifest strips its lines.
        text = f"{text[:-1]}%20"
    text = text.replace(".", "%2E") if text in {".", ".."} else text
    return _cut(text, name) if len(text.encode("utf-8", "surrogatepass")) > _LONGEST else text


def _cut(text: str, name: str) -> str:
    """As much of a text as file systems allow, and a hash of the whole name, which tells it from others."""
    ending = f"~{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"
    suffix = text[text.rfind(".") :] if 0 < len(text) - text.rfind(".") <= _SUFFIX else ""
    room = _LONGEST - len(ending) - len(suffix.encode("utf-8", "surrogatepass"))
    head = text.encode("utf-8", "surrogatepass")[:room].decode("utf-8", "ignore")
    return f"{re.sub('%.?$', '', head)}{ending}{suffix}"


def _encoded(character: str) -> str:
    if character in "\r\n":
        # Whoever reads a manifest takes %0A for a line feed in the name of the file.
        return quote(quote(character))
    if character.isprintable() and not character.isascii():
        # Three times as long, a name may be longer than file systems allow.
        return character
    return quote(character, safe=_NAME_SAFE)


def rows_csv(schema: str, table: str) -> str:
    """Rows of a table as CSV."""
    return f"{DATA}/{encoded(schema)}/{encoded(table)}.csv"


def rows_json(schema: str, table: str) -> str:
    """Rows of a table as JSON lines."""
    return f"{DATA}/{encoded(schema)}/{encoded(table)}.jsonl"


def asset_dir(table: str, rid: str | None = None) -> str:
    """Folder of the files of an asset table, or of one row of it."""
    return f"{ASSETS}/{encoded(table)}" + (f"/{encoded(rid)}" if rid else "")


def asset_file(table: str, rid: str, file_name: str) -> str:
    """File of an asset row.

    Examples
    --------
    >>> asset_file("Image", "1-2AB", "scan 1.png")
    'data/assets/Image/1-2AB/scan 1.png'
    """
    return f"{asset_dir(table, rid)}/{encoded(file_name)}"


def parse_rows(path: str) -> TableFile | None:
    """Which table's rows a path in a bag holds, None for other paths."""
    parts = path.split("/")
    name, dot, suffix = parts[-1].rpartition(".")
    if len(parts) != 3 or parts[0] != DATA or not dot or suffix not in {"csv", "jsonl"}:
        return None
    return TableFile(unquote(parts[1]), unquote(name), suffix)


def parse_asset(path: str) -> AssetFile | None:
    """Which asset row a path in a bag belongs to, None for other paths.

    Examples
    --------
    >>> parse_asset("data/assets/Image/1-2AB/scan 1.png").rid
    '1-2AB'
    """
    parts = path.split("/")
    if len(parts) != 5 or "/".join(parts[:2]) != ASSETS:
        return None
    return AssetFile(*(unquote(part) for part in parts[2:]))
