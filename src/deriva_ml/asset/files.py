"""Asset files on this disk: a path that knows which asset it is, and how downloaded files are named."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from typing import Any, Protocol, Self
from urllib.parse import unquote, urlsplit

from deriva_ml.errors import DerivaMLValidationError

# Known to Python only when it runs: a checker takes it for a variable, and what it makes for any path.
_PlainPath = type(Path())


class Registration(Protocol):
    """Where metadata and types of a registered output are kept; the keeper of the manifest implements it.

    It does not register files, and it does not see their bytes.
    """

    def update_metadata(self, metadata: dict[str, Any]) -> None:
        """Replace all metadata of the output."""
        ...

    def update_types(self, asset_types: list[str]) -> None:
        """Replace the asset types of the output; raises `DerivaMLInvalidTerm` for an unknown one."""
        ...


class AssetFilePath(_PlainPath):  # type: ignore[misc, valid-type]  # a variable to the checker, see above
    """Path of an asset's file: staged for upload, or downloaded.

    Usable wherever a `pathlib.Path` is. Paths derived from it (``path.parent``, ``path / "x"``) are plain paths.

    Parameters
    ----------
    path : str or Path
        Where the file is, or is to be written.
    asset_table : str
        Name of its asset table.
    file_name : str or Path, optional
        Name in the catalog for an output, full path for a downloaded input; by default the last part of `path`.
    asset_metadata : mapping or AssetRecord, optional
        Values of the metadata columns.
    asset_types : iterable of str
        Terms of the vocabulary Asset_Type.
    asset_rid : str, optional
        RID of the asset, when it has one.
    registration : Registration, optional
        Where changes of metadata and types are kept; without it they only change this object.

    Attributes
    ----------
    asset_table : str
    file_name : str or Path
    asset_types : list of str
    asset_rid : str or None

    Examples
    --------
    >>> path = AssetFilePath("/tmp/staged/scan.png", "Image", asset_types=["Image"])
    >>> path.file_name, path.suffix, type(path.parent) is type(Path())
    ('scan.png', '.png', True)
    """

    __slots__ = ("_metadata", "_registration", "asset_rid", "asset_table", "asset_types", "file_name")

    asset_table: str
    file_name: str | Path
    asset_types: list[str]
    asset_rid: str | None
    _metadata: dict[str, Any]
    _registration: Registration | None

    # Python 3.11 derives paths through classmethods, later versions through with_segments. Both, and every
    # `self.__class__(other)` in pathlib, must give plain paths: only a call that names a table makes an asset path.
    def __new__(cls, *args: Any, asset_table: str | None = None, **kwargs: Any) -> Self:
        path = args[0] if args else ""
        if asset_table is None and len(args) < 2:
            return _PlainPath(path)  # type: ignore[return-value]  # a plain path on purpose, see above
        self = object.__new__(cls)
        if sys.version_info < (3, 12):
            self._drv, self._root, self._parts = cls._parse_args((path,))
        return self

    def __init__(
        self,
        path: str | PurePath,
        asset_table: str,
        file_name: str | Path | None = None,
        asset_metadata: Mapping[str, Any] | Any = None,
        asset_types: Iterable[str] = (),
        asset_rid: str | None = None,
        *,
        registration: Registration | None = None,
    ) -> None:
        if sys.version_info >= (3, 12):
            super().__init__(path)
        self.asset_table = str(asset_table)
        self.file_name = file_name if file_name is not None else PurePath(path).name
        self.asset_types = type_names(asset_types)
        self.asset_rid = asset_rid
        self._metadata = as_metadata(asset_metadata)
        self._registration = registration

    if sys.version_info < (3, 12):
        # Private there, and so without types.
        @classmethod
        def _from_parts(cls, args: Any) -> Path:
            return _PlainPath._from_parts(args)  # type: ignore[attr-defined, no-any-return]  # private, see above

        @classmethod
        def _from_parsed_parts(cls, drv: str, root: str, parts: list[str]) -> Path:
            made: Path = _PlainPath._from_parsed_parts(drv, root, parts)  # type: ignore[attr-defined]  # private, see above
            return made

    def with_segments(self, *segments: Any) -> Path:
        """Make the path that is derived from this one; a plain path."""
        return Path(*segments)

    def __reduce__(self) -> tuple[Any, ...]:
        state = (self.asset_table, self.file_name, self._metadata, self.asset_types, self.asset_rid)
        return _restore, (str(self), *state, self._registration)

    def __repr__(self) -> str:
        return f"AssetFilePath({str(self)!r}, {self.asset_table!r})"

    def __copy__(self) -> AssetFilePath:
        restore, arguments = self.__reduce__()
        copied: AssetFilePath = restore(*arguments)
        return copied

    @property
    def asset_name(self) -> str:
        """Name of the asset table."""
        return self.asset_table

    @property
    def asset_metadata(self) -> dict[str, Any]:
        """Values of the metadata columns; the same as `metadata`."""
        return self.metadata

    @property
    def metadata(self) -> dict[str, Any]:
        """Values of the metadata columns, a copy.

        Assigning a dict or an `AssetRecord` replaces all of them, and is kept with the registered output.
        """
        return dict(self._metadata)

    @metadata.setter
    def metadata(self, value: Mapping[str, Any] | Any) -> None:
        metadata = as_metadata(value)
        if self._registration is not None:
            self._registration.update_metadata(metadata)
        self._metadata = metadata

    def set_asset_types(self, asset_types: str | Iterable[str]) -> None:
        """Replace the asset types.

        Parameters
        ----------
        asset_types : str or iterable of str
            Terms of the vocabulary Asset_Type.

        Raises
        ------
        DerivaMLInvalidTerm
            If one of them is no term.
        """
        types = type_names(asset_types)
        if self._registration is not None:
            self._registration.update_types(types)
        self.asset_types = types


def _restore(path: str, *state: Any) -> AssetFilePath:
    *values, registration = state
    return AssetFilePath(path, *values, registration=registration)


def type_names(asset_types: str | Iterable[str]) -> list[str]:
    """Asset types as a list without repetition.

    Raises
    ------
    DerivaMLValidationError
        If they are neither a name nor several.
    """
    names: list[Any] = [asset_types]
    if isinstance(asset_types, Iterable) and not isinstance(asset_types, str):
        names = list(asset_types)
    for name in names:
        if not isinstance(name, str):
            raise DerivaMLValidationError(
                f"asset_types cannot be {asset_types!r}: give a term of Asset_Type by its name, or a list of names."
            )
    return list(dict.fromkeys(str(name) for name in names))


def as_metadata(value: Mapping[str, Any] | Any) -> dict[str, Any]:
    """Metadata as a dict: a mapping is copied, of an `AssetRecord` the values that are not None are taken.

    Raises
    ------
    DerivaMLValidationError
        If it is something else.
    """
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return dict(value)
    if not hasattr(value, "model_dump"):
        raise DerivaMLValidationError(
            f"metadata cannot be {value!r}: give a dict of column name to value, or a record of asset_record_class()."
        )
    return {column: item for column, item in value.model_dump(by_alias=True).items() if item is not None}


_UNSAFE = re.compile(r"[\x00/\\]")


def file_name_of(row: Mapping[str, Any]) -> str:
    """Name under which the file of an asset row is kept on disk.

    The ``Filename`` column; where it is empty the last part of the URL (without a version); else the RID. Never has
    path separators, so that a row of the catalog cannot point outside of the folder it is downloaded to.

    Parameters
    ----------
    row : mapping
        A row of an asset table.

    Returns
    -------
    str

    Examples
    --------
    >>> file_name_of({"Filename": None, "URL": "/hatrac/Image/0f.scan%201.png:ABC"})
    '0f.scan 1.png'
    """
    name = str(row.get("Filename") or "")
    if not name:
        last = urlsplit(str(row.get("URL") or "")).path.rsplit("/", 1)[-1]
        name = unquote(last.partition(":")[0])
    name = _UNSAFE.sub("_", name)
    return name if name.strip(".") else str(row.get("RID") or "file")
