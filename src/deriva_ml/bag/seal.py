"""BagIt manifests of a bag folder: make, read, check."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, unquote

from deriva_ml.bag import layout
from deriva_ml.bag.write import FetchEntry
from deriva_ml.copies import is_partial
from deriva_ml.errors import DerivaMLChecksumError, DerivaMLDataError

MANIFEST = "manifest-md5.txt"
TAG_MANIFEST = "tagmanifest-md5.txt"

_DECLARATION = "BagIt-Version: 0.97\nTag-File-Character-Encoding: UTF-8\n"


def _escaped(path: str) -> str:
    # The manifest is a list of lines; only what would break a line is encoded, "%" itself is left alone there
    # because names inside a bag are percent-encoded by `layout` already.
    return path.replace("\r", "%0D").replace("\n", "%0A")


def _plain(place: str) -> str:
    return place.replace("%0D", "\r").replace("%0A", "\n")


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def _payload(folder: Path) -> Iterable[Path]:
    data = folder / layout.DATA
    return sorted(path for path in data.rglob("*") if path.is_file()) if data.is_dir() else ()


def _place(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()


def seal(
    folder: Path,
    *,
    fetch: Sequence[FetchEntry] = (),
    info: Mapping[str, str] | None = None,
    digests: Mapping[str, str] | None = None,
) -> None:
    """Write the tag files that make a folder a bag.

    Parameters
    ----------
    folder : Path
        Holds the payload in ``data``.
    fetch : sequence of FetchEntry
        Files that belong to the bag but are elsewhere.
    info : mapping, optional
        Further lines of ``bag-info.txt``.
    digests : mapping, optional
        MD5 by place inside the bag of payload files that need not be read again.
    """
    known = digests or {}
    sums: dict[str, str] = {}
    octets = count = 0
    for path in _payload(folder):
        place = _place(folder, path)
        sums[place] = known.get(place) or _digest(path, "md5")
        octets, count = octets + path.stat().st_size, count + 1
    for entry in fetch:
        sums[entry.path] = entry.md5
        octets, count = octets + (entry.length or 0), count + 1
    lines = "".join(f"{md5}  {_escaped(place)}\n" for place, md5 in sorted(sums.items()))
    (folder / MANIFEST).write_text(lines, encoding="utf-8")
    write_fetch(folder, fetch)
    (folder / "bagit.txt").write_text(_DECLARATION, encoding="utf-8")
    fields = {
        "Bagging-Date": datetime.now(UTC).date().isoformat(),
        "BagIt-Profile-Identifier": layout.PROFILE,
        "Payload-Oxum": f"{octets}.{count}",
        **(info or {}),
    }
    text = "".join(f"{name}: {' '.join(str(value).split())}\n" for name, value in fields.items())
    (folder / layout.BAG_INFO).write_text(text, encoding="utf-8")
    _seal_tags(folder)


def _seal_tags(folder: Path) -> None:
    tags = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and not path.name.startswith("tagmanifest-")
        and path.relative_to(folder).parts[0] != layout.DATA
    )
    lines = "".join(f"{_digest(path, 'md5')}  {_escaped(_place(folder, path))}\n" for path in tags)
    (folder / TAG_MANIFEST).write_text(lines, encoding="utf-8")


def write_fetch(folder: Path, fetch: Sequence[FetchEntry]) -> None:
    """Write ``fetch.txt``, or remove it where nothing is elsewhere."""
    target = folder / layout.FETCH
    if not fetch:
        target.unlink(missing_ok=True)
        return
    lines = (
        f"{quote(entry.url, safe=_URL_SAFE)}\t{'-' if entry.length is None else entry.length}\t{_escaped(entry.path)}\n"
        for entry in fetch
    )
    target.write_text("".join(lines), encoding="utf-8")


_URL_SAFE = "%/:?#[]@!$&'()*+,;=~"


def read_manifest(folder: Path, name: str = MANIFEST) -> dict[str, str]:
    """Checksum by place inside the bag.

    Raises
    ------
    DerivaMLDataError
        If the folder is no bag.
    """
    require_here(folder)
    try:
        text = (folder / name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DerivaMLDataError(f"{folder} is not a complete bag: {name} cannot be read: {error}.") from error
    sums = {}
    for line in text.splitlines():
        checksum, _, place = line.partition(" ")
        if place.strip():
            sums[_plain(place.strip().lstrip("*"))] = checksum.lower()
    return sums


def require_here(folder: Path) -> None:
    """Check that the folder of a bag was not removed since it was opened.

    Raises
    ------
    DerivaMLDataError
        If it was.
    """
    if not folder.is_dir():
        raise DerivaMLDataError(f"The bag {folder} was removed; download it again.")


def read_fetch(folder: Path) -> list[FetchEntry]:
    """Files of a bag that are elsewhere, present here meanwhile or not.

    Raises
    ------
    DerivaMLDataError
        If the list cannot be read, or names a file that the manifest does not.
    """
    source = folder / layout.FETCH
    if not source.exists():
        return []
    sums = read_manifest(folder)
    entries = []
    try:
        for line in source.read_text(encoding="utf-8").splitlines():
            if line.strip():
                url, length, place = line.split("\t")
                place = _plain(place)
                entries.append(FetchEntry(url, None if length == "-" else int(length), place, sums[place]))
    except KeyError as error:
        raise DerivaMLDataError(f"{source} names a file that is not in the manifest: {error}.") from error
    except ValueError as error:
        raise DerivaMLDataError(f"{source} is no list of files: {error}.") from error
    return entries


def missing(folder: Path) -> list[FetchEntry]:
    """Files of a bag that are still elsewhere."""
    return [entry for entry in read_fetch(folder) if not (folder / entry.path).exists()]


def check(folder: Path, places: Collection[str]) -> None:
    """Check some files of a bag before they are used.

    Raises
    ------
    DerivaMLChecksumError
        If one is changed, or not in the manifest.
    """
    sums = read_manifest(folder)
    wrong = [place for place in places if _digest(folder / place, "md5") != sums.get(place)]
    if wrong:
        raise DerivaMLChecksumError(
            f"Bag {folder} is damaged: {', '.join(wrong[:5])} changed or unknown. Get the bag again."
        )


def validate(folder: Path, *, complete: bool = True) -> None:
    """Check that all files are there and have the recorded bytes.

    Parameters
    ----------
    folder : Path
    complete : bool
        Whether files listed in ``fetch.txt`` must be here already; where not, some may be half here.

    Raises
    ------
    DerivaMLChecksumError
        If a file is missing, changed, or not in the manifest.
    """
    sums = read_manifest(folder)
    elsewhere = set() if complete else {entry.path for entry in missing(folder)}
    present = (path for path in _payload(folder) if complete or not is_partial(path))
    here = {_place(folder, path): path for path in present}
    wrong = [place for place in sums if place not in here and place not in elsewhere]
    wrong += [place for place in here if place not in sums]
    wrong += [place for place, path in here.items() if place in sums and _digest(path, "md5") != sums[place]]
    for place, checksum in read_manifest(folder, TAG_MANIFEST).items():
        path = folder / place
        if not path.exists() or _digest(path, "md5") != checksum:
            wrong.append(place)
    if wrong:
        raise DerivaMLChecksumError(
            f"Bag {folder} is damaged: {', '.join(sorted(wrong)[:5])}{', …' if len(wrong) > 5 else ''}"
            " missing, changed or unknown. Delete the folder and make the bag again."
        )


def discard(folder: Path) -> None:
    """Delete a bag folder; its tag file goes first, so that a half deleted bag is never taken for a bag."""
    (folder / "bagit.txt").unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def is_sealed(folder: Path) -> bool:
    """Whether a folder has been made a bag."""
    return (folder / "bagit.txt").exists() and (folder / TAG_MANIFEST).exists()


def source_of(entry: FetchEntry) -> Path | None:
    """Local file behind a ``file:`` URL, None for other URLs."""
    prefix = "file://"
    return Path(unquote(entry.url[len(prefix) :])) if entry.url.startswith(prefix) else None
