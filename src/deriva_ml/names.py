"""The words of the field as types: row ids, dataset versions, the schema's fixed names."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from difflib import get_close_matches
from enum import Enum, StrEnum
from typing import Annotated, Any, NoReturn

from packaging.version import InvalidVersion, Version
from pydantic import StringConstraints

from deriva_ml.errors import DerivaMLInvalidVersion, DerivaMLValidationError

ML_SCHEMA = "deriva-ml"
"""Schema that holds the tables of this library in every catalog."""

DRY_RUN_RID = "0000"
"""RID that stands for an execution which is not recorded."""

PLACEHOLDER_RID = "0-0000"
"""RID in configurations of new projects, to be replaced."""

RID_PATTERN = r"^[A-Za-z0-9]+(-[A-Za-z0-9]+)*(@[A-Za-z0-9-]+)?$"
RID = Annotated[str, StringConstraints(pattern=RID_PATTERN)]
"""Row id: opaque text, compared only for equality; may carry ``@snapshot``."""

SNAPSHOT_PATTERN = r"^[0-9A-HJKMNP-TV-Z]{1,4}(-[0-9A-HJKMNP-TV-Z]{4}){2}$"
"""Id of a snapshot of a catalog: a time in microseconds, as RIDs are written."""

SYSTEM_COLUMNS = ("RID", "RCT", "RMT", "RCB", "RMB")
ASSET_COLUMNS = ("Filename", "URL", "Length", "MD5", "Description")
NOT_METADATA = frozenset((*SYSTEM_COLUMNS, *ASSET_COLUMNS))
"""Columns of an asset table that are not metadata."""

NOT_DOMAIN_SCHEMAS = frozenset({"public", "www", "WWW"})


def is_rid(text: object) -> bool:
    """Whether `text` has the form of a RID."""
    return isinstance(text, str) and re.fullmatch(RID_PATTERN, text) is not None


def rid_of(thing: Any) -> Any:
    """RID of an asset that was looked up; anything else as it is."""
    return getattr(thing, "asset_rid", thing)


def require_list(name: str, given: Any, of: str = "") -> list[Any]:
    """What is given as a list; a text is refused, as it would be taken for a list of its letters.

    Parameters
    ----------
    name : str
        How the caller knows it.
    given : iterable
    of : str
        What it is a list of, for the message.

    Raises
    ------
    DerivaMLValidationError
        If it is none.

    Examples
    --------
    >>> require_list("assets", ("1-ABC",))
    ['1-ABC']
    """
    if isinstance(given, str | bytes | Mapping) or not isinstance(given, Iterable):
        example = f", as in {name}=[{given!r}]" if isinstance(given, str) else ", of one if there is only one"
        raise DerivaMLValidationError(
            f"{name} cannot be {given!r}; give a list{of and f' of {of}'}{example}."
        )
    return list(given)


def optional_list(name: str, given: Any) -> list[Any]:
    """What is given as a list, as for `require_list`; nothing is an empty one."""
    return [] if given is None else require_list(name, given)


def one_or_more(name: str, given: Any) -> list[Any]:
    """What is given alone or in a list, as for `optional_list`; a text is a list of one.

    Examples
    --------
    >>> one_or_more("dataset_types", "Training")
    ['Training']
    """
    return [given] if isinstance(given, str) else optional_list(name, given)


def require_number(name: str, given: Any, least: int | None = None) -> int:
    """What is given as a whole number.

    Parameters
    ----------
    name : str
        How the caller knows it.
    given : int
        Whole numbers of other libraries are accepted; True and False are none.
    least : int, optional
        The smallest that makes sense.

    Raises
    ------
    DerivaMLValidationError
        If it is none, or too small.

    Examples
    --------
    >>> require_number("limit", 3, least=0)
    3
    """
    try:
        number = None if isinstance(given, bool) else operator.index(given)
    except TypeError:
        number = None
    if number is None or (least is not None and number < least):
        what = "a whole number" if least is None else f"a whole number of at least {least}"
        raise DerivaMLValidationError(f"{name} must be {what}, not {given!r}.")
    return number


def similar(name: Any, known: Iterable[str]) -> list[str]:
    """Which of some names may have been meant, the likeliest first; at most five.

    Examples
    --------
    >>> similar("Imagee", ["Image", "Subject"])
    ['Image']
    """
    text, names = str(name), sorted(set(known))
    return (
        get_close_matches(text, names, 5)
        or [one for one in names if text and one.lower().startswith(text.lower()[:4])][:5]
    )


def did_you_mean(name: Any, known: Iterable[str]) -> str:
    """How messages end that refuse a name: with those that may have been meant, or with nothing."""
    near = similar(name, known)
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""


class MLAsset(StrEnum):
    """Asset tables that every catalog has."""

    execution_metadata = "Execution_Metadata"
    execution_asset = "Execution_Asset"


class MLTable(StrEnum):
    """Tables that every catalog has."""

    dataset = "Dataset"
    workflow = "Workflow"
    file = "File"
    asset = "Asset"
    execution = "Execution"
    execution_execution = "Execution_Execution"
    dataset_version = "Dataset_Version"
    execution_metadata = "Execution_Metadata"
    execution_asset = "Execution_Asset"


class MLVocab(StrEnum):
    """Vocabularies that every catalog has."""

    dataset_type = "Dataset_Type"
    workflow_type = "Workflow_Type"
    asset_type = "Asset_Type"
    asset_role = "Asset_Role"
    execution_status = "Execution_Status"
    feature_name = "Feature_Name"


class ExecMetadataType(StrEnum):
    """Asset types of the files that describe a run."""

    execution_config = "Execution_Config"
    runtime_env = "Runtime_Env"
    hydra_config = "Hydra_Config"
    deriva_config = "Deriva_Config"
    metrics_file = "Metrics_File"


class ExecAssetType(StrEnum):
    """Asset types of what a run reads and writes; the first two are given by the framework."""

    input_file = "Input_File"
    output_file = "Output_File"
    notebook_output = "Notebook_Output"
    model_file = "Model_File"


class _Word(StrEnum):
    """One of a few words; another one is refused by an error that lists them."""

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        known = ", ".join(repr(member.value) for member in cls)
        raise DerivaMLValidationError(f"{value!r} is not one of {known} ({cls.__name__}).")


class AssetRole(_Word):
    """On which side of an execution an asset stands."""

    input = "Input"
    output = "Output"


class ExecutionStatus(_Word):
    """Where an execution is in its life."""

    Created = "Created"
    Running = "Running"
    Stopped = "Stopped"
    Failed = "Failed"
    Pending_Upload = "Pending_Upload"
    Uploaded = "Uploaded"
    Aborted = "Aborted"


ENDED_BADLY = frozenset({ExecutionStatus.Failed, ExecutionStatus.Aborted})
"""Statuses that come with a reason."""


class VersionPart(_Word):
    """Which number of a dataset version a release raises."""

    major = "major"
    minor = "minor"
    patch = "patch"


class ConnectionMode(StrEnum):
    """Whether calls may use the network."""

    online = "online"
    offline = "offline"


class CacheStatus(StrEnum):
    """How much of a dataset's bag lies on this disk."""

    not_cached = "not_cached"
    cached_metadata_only = "cached_metadata_only"
    cached_materialized = "cached_materialized"
    cached_holey = "cached_holey"
    cached_incomplete = "cached_holey"


class UploadState(Enum):
    """Outcome of one file of an upload."""

    success = 0
    failed = 1
    pending = 2
    running = 3
    paused = 4
    aborted = 5
    cancelled = 6
    timeout = 7


_VERSION_PATTERN = r"\d+\.\d+\.\d+(\.post1\.dev\d+)?"


class DatasetVersion(Version):
    """Version label of a dataset: ``MAJOR.MINOR.PATCH``, or ``….post1.devN`` between two releases.

    Parameters
    ----------
    major : int, str or Version
        A number, or a whole label (then the others are left out).
    minor, patch : int

    Raises
    ------
    DerivaMLInvalidVersion
        If a label is of another form (also packaging's `InvalidVersion` and a `ValueError`).

    Examples
    --------
    >>> DatasetVersion(1, 2) < DatasetVersion("1.2.0.post1.dev1") < DatasetVersion("1.2.1")
    True
    """

    def __init__(self, major: int | str | Version, minor: int = 0, patch: int = 0) -> None:
        label = f"{major}.{minor}.{patch}" if isinstance(major, int) else str(major)
        try:
            super().__init__(label)
        except InvalidVersion:
            raise DerivaMLInvalidVersion(label) from None
        # Of what else PEP 440 knows nothing would say when it is the next or the current version.
        if not re.fullmatch(_VERSION_PATTERN, str(self)):
            raise DerivaMLInvalidVersion(label)

    @classmethod
    def parse(cls, label: str) -> DatasetVersion:
        """Read a label; raises `DerivaMLInvalidVersion` (a `ValueError`)."""
        return cls(label)

    @classmethod
    def coerce(cls, value: Any) -> DatasetVersion:
        """Accept a version, label, (major, minor, patch) sequence or mapping with these keys."""
        if isinstance(value, cls):
            return value
        if isinstance(value, str | Version):
            return cls(str(value))
        parts = [value.get(part.value, 0) for part in VersionPart] if isinstance(value, dict) else value
        if isinstance(parts, list | tuple):
            with suppress(TypeError, ValueError):
                return cls(*(int(part) for part in parts))
        raise DerivaMLInvalidVersion(value)

    @property
    def patch(self) -> int:
        """Third number."""
        return self.micro

    @property
    def is_devrelease(self) -> bool:
        """Whether this label is between two releases, so its content may still change."""
        return self.dev is not None

    def to_dict(self) -> dict[str, int]:
        """The three numbers by name."""
        return {"major": self.major, "minor": self.minor, "patch": self.patch}

    def next_release(self, part: VersionPart) -> DatasetVersion:
        """The release after this one, with `part` raised and the lower parts zero."""
        match VersionPart(part):
            case VersionPart.major:
                return DatasetVersion(self.major + 1)
            case VersionPart.minor:
                return DatasetVersion(self.major, self.minor + 1)
            case VersionPart.patch:
                return DatasetVersion(self.major, self.minor, self.patch + 1)

    def __repr__(self) -> str:
        return f"DatasetVersion('{self}')"
