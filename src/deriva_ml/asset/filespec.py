"""Files that stay where they are and are only registered: name, size, checksum and place."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlsplit

from pydantic import ConfigDict, Field, field_validator

from deriva_ml.checksums import md5_of
from deriva_ml.errors import DerivaMLValidationError
from deriva_ml.specs import Checked

FILE = "File"
FileTypes = list[str] | Callable[[Path], Iterable[str]] | None


class FileSpec(Checked):
    """One file to register.

    Parameters
    ----------
    url : str
        ``URL``; a path on this disk becomes ``tag://<this computer>,<date>:file://<path>``.
    md5 : str
        ``MD5``, in hex.
    length : int
        ``Length``, in bytes.
    description : str
        ``Description``
    file_types : list of str
        ``File_Types``; terms of the vocabulary Asset_Type.

    Raises
    ------
    ValueError
        If `url` is neither a path nor a tag.
    """

    model_config = ConfigDict(populate_by_name=True, extra="forbid")

    url: str = Field(alias="URL")
    md5: str = Field(alias="MD5")
    length: int = Field(alias="Length")
    description: str = Field(default="", alias="Description")
    file_types: list[str] = Field(default_factory=list, alias="File_Types")

    @field_validator("url")
    @classmethod
    def _as_tag(cls, url: str) -> str:
        scheme = urlsplit(url).scheme
        if scheme == "tag":
            return url
        if scheme not in ("", "file"):
            raise ValueError(
                f"{url!r} is not a file on this disk; only paths and tag: URLs can be registered."
            )
        return tag_url(Path(urlsplit(url).path if scheme else url))

    @classmethod
    def create_filespecs(
        cls, path: Path | str, description: str, file_types: FileTypes = None
    ) -> Iterator[FileSpec]:
        """Describe a file, or all files below a folder.

        Parameters
        ----------
        path : Path or str
        description : str
            Of each of them.
        file_types : list of str or callable, optional
            Types of each of them, or a function from its path to its types; ``File`` is always among them.

        Yields
        ------
        FileSpec
            In the order of their paths.

        Raises
        ------
        DerivaMLValidationError
            If there is nothing at `path`.
        """
        root = Path(path).expanduser().absolute()
        if not root.exists():
            raise DerivaMLValidationError(f"There is no file or folder {root}.")
        found = [root] if root.is_file() else sorted(entry for entry in root.rglob("*") if entry.is_file())
        for file in found:
            types = file_types(file) if callable(file_types) else file_types or ()
            yield cls(
                URL=str(file),
                MD5=md5_of(file),
                Length=file.stat().st_size,
                Description=description,
                File_Types=list(dict.fromkeys([*map(str, types), FILE])),
            )

    @staticmethod
    def read_filespec(path: Path | str) -> Iterator[FileSpec]:
        """Read descriptions from a file with one JSON object per line."""
        with Path(path).open(encoding="utf-8") as lines:
            for line in lines:
                if line.strip():
                    yield FileSpec.model_validate(json.loads(line))


def tag_url(path: Path) -> str:
    """Name of a file on this computer that stays the same as long as the file is not changed.

    The date is that of the file's last change, so that registering it again on another day gives the same name.
    """
    place = path.expanduser().absolute()
    changed = place.stat().st_mtime if place.exists() else 0.0
    date = datetime.fromtimestamp(changed, UTC).date().isoformat()
    return f"tag://{socket.gethostname()},{date}:file://{quote(place.as_posix())}"
