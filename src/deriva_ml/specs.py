"""What a user may ask for, validated, without any I/O."""

from __future__ import annotations

import json
import sys
from pathlib import Path, PurePath
from typing import Annotated, Any, Self

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    field_serializer,
    field_validator,
    model_validator,
)

from deriva_ml.errors import DerivaMLValidationError
from deriva_ml.names import RID, DatasetVersion, is_rid


def _plain(value: Any) -> Any:
    """Turn OmegaConf containers (and anything else that only looks like a mapping) into plain ones."""
    return dict(value.items()) if hasattr(value, "items") and not isinstance(value, dict) else value


class Checked(BaseModel):
    """A model whose wrong values give one short error of this library, which names what is wrong.

    Raises
    ------
    DerivaMLValidationError
        When an object is made of values that do not fit.

    Examples
    --------
    >>> class Point(Checked):
    ...     x: int
    >>> Point(x="far")
    Traceback (most recent call last):
    deriva_ml.errors.DerivaMLValidationError: Point cannot be made: x (given 'far'): Input should be a valid integer, \
unable to parse string as an integer.
    """

    # Of those that a program imports, it uses few.
    model_config = ConfigDict(defer_build=True)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise _complaint(type(self), error) from None

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """As in pydantic, with errors of this library."""
        try:
            return super().model_validate(obj, **options)
        except ValidationError as error:
            raise _complaint(cls, error) from None


def _complaint(model: type[BaseModel], error: ValidationError) -> DerivaMLValidationError:
    """What is wrong, without the parts of pydantic's message that say nothing to the caller."""
    said = []
    found = error.errors(include_url=False)
    # What fits none of several kinds comes once for each; kinds that are no plain type have names of pydantic's own.
    kinds = {item["loc"][:-1] for item in found if _is_plain_kind(item["loc"])}
    for item in found:
        if item["loc"][:-1] in kinds:
            if not _is_plain_kind(item["loc"]):
                continue
            item["loc"] = item["loc"][:-1]
        inner = item.get("ctx", {}).get("error")
        if not item["loc"] and isinstance(inner, DerivaMLValidationError):
            return inner
        place = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            fields = ", ".join(field.alias or name for name, field in model.model_fields.items())
            said.append(f"there is no {place!r}" + (f"; it has {fields}" if len(item["loc"]) == 1 else ""))
        elif item["type"] == "missing":
            said.append(f"{place} is missing")
        else:
            given = repr(item["input"])
            shown = given if len(given) <= 60 else f"{given[:57]}..."
            said.append(f"{place} (given {shown}): {item['msg'].removeprefix('Value error, ').rstrip('.')}")
    return DerivaMLValidationError(f"{model.__name__} cannot be made: {'; '.join(dict.fromkeys(said))}.")


def _is_plain_kind(place: tuple[int | str, ...]) -> bool:
    return len(place) > 1 and place[-1] in {"str", "int", "float", "bool"}


Seconds = Annotated[float, Field(gt=0)]


class DatasetSpec(Checked):
    """One dataset that a run reads.

    Parameters
    ----------
    rid : str
        RID of the dataset.
    version : DatasetVersion, optional
        Label, sequence, mapping or `DatasetVersion`; None stands for the current version, which is resolved to a
        concrete one when an execution is created.
    materialize : bool
        Whether asset files are downloaded, or only the tables.
    description : str
        Free text.
    exclude_tables : set of str, optional
        Tables that are left out, with everything reached only through them.
    timeout : tuple of float, optional
        Seconds to wait for a connection, and for each part of an answer, while it is downloaded; those of the open
        catalog by default.
    fetch_concurrency : int
        How many files are downloaded at a time.
    reachability_concurrency : int
        Accepted for callers that pass it; what belongs to a dataset is found in one pass.

    Examples
    --------
    >>> DatasetSpec(rid="1-ABC", version="2.1.0").version
    DatasetVersion('2.1.0')
    >>> DatasetSpec.from_shorthand("1-ABC@2.1.0").rid
    '1-ABC'
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    rid: RID
    version: DatasetVersion | None = None
    materialize: bool = True
    description: str = ""
    exclude_tables: set[str] | None = None
    timeout: tuple[Seconds, Seconds] | None = None
    fetch_concurrency: int = Field(default=8, ge=1)
    reachability_concurrency: int = Field(default=8, ge=1)

    @model_validator(mode="before")
    @classmethod
    def _from_rid(cls, value: Any) -> Any:
        if not isinstance(value, str):
            plain = _plain(value)
            if not isinstance(plain, dict | cls):
                raise ValueError("give its RID, RID@VERSION, or a DatasetSpec")
            return plain
        # What follows the sign may be a snapshot, which is part of the RID and has no dots.
        rid, _, version = value.partition("@")
        return {"rid": rid, "version": version} if "." in version else {"rid": value}

    @field_validator("version", mode="before")
    @classmethod
    def _read_version(cls, value: Any) -> DatasetVersion | None:
        return None if value is None else DatasetVersion.coerce(_plain(value))

    @field_serializer("version")
    def _write_version(self, version: DatasetVersion | None) -> dict[str, int] | str | None:
        # The mapping is what existing readers expect; it has no place for a dev label.
        if version is None:
            return None
        return str(version) if version.is_devrelease else version.to_dict()

    @classmethod
    def from_shorthand(cls, text: str) -> Self:
        """Read ``RID`` or ``RID@version``.

        Raises
        ------
        DerivaMLValidationError
            If `text` is empty or has more than one ``@``; it is a `ValueError`, too.
        """
        rid, at, version = text.strip().partition("@")
        if not rid or "@" in version or (at and not version):
            raise DerivaMLValidationError(f"Expected RID or RID@version, got {text!r}.")
        return cls(rid=rid, version=DatasetVersion(version) if at else None)


class AssetSpec(Checked):
    """One asset that a run reads; with `cache` its bytes are kept by MD5 and shared by all runs on this machine."""

    model_config = ConfigDict(extra="forbid")

    rid: RID
    cache: bool = False

    @model_validator(mode="before")
    @classmethod
    def _from_rid(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"rid": value}
        value = _plain(value)
        if isinstance(value, dict):
            return {key: item for key, item in value.items() if key != "asset_role"}
        return value


class LocalFile(Checked):
    """A file on this disk that a run reads; it is registered by checksum, its bytes stay where they are."""

    model_config = ConfigDict(extra="forbid")

    path: Path
    cache: bool = False

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        return _plain(value)


class WorkflowSpec(Checked):
    """The code that runs, as it will be (or is) recorded in the Workflow table.

    Parameters
    ----------
    name : str, optional
    workflow_type : str or list of str
        Terms of the vocabulary Workflow_Type; always a list afterwards.
    description : str, optional
        Markdown.
    url : str, optional
        Where the code is, at a commit.
    version : str, optional
    workflow_rid : str, optional
        Set when the workflow is registered; accepted as ``rid`` too.
    checksum : str, optional
        git blob hash of the file, image digest, or other content hash.
    is_notebook : bool
    git_root : Path, optional
    allow_dirty : bool
        Whether uncommitted changes are accepted silently.
    """

    model_config = ConfigDict(extra="forbid", validate_assignment=True, populate_by_name=True)

    name: str | None = None
    workflow_type: list[str] = Field(default_factory=list)
    description: str | None = None
    url: str | None = None
    version: str | None = None
    workflow_rid: RID | None = Field(
        default=None, validation_alias=AliasChoices("workflow_rid", "rid"), serialization_alias="workflow_rid"
    )
    checksum: str | None = None
    is_notebook: bool = False
    git_root: Path | None = None
    allow_dirty: bool = False
    _catalog: tuple[str, str] | None = PrivateAttr(default=None)
    """Authority and id of the catalog that gave `workflow_rid`, where that is known."""

    def __eq__(self, other: object) -> bool:
        # A workflow that was read back from a file is the same one, although it cannot do as much.
        return isinstance(other, WorkflowSpec) and all(
            getattr(self, name) == getattr(other, name) for name in WorkflowSpec.model_fields
        )

    @field_validator("workflow_type", mode="before")
    @classmethod
    def _as_list(cls, value: Any) -> list[str]:
        if value is None:
            return []
        return [str(value)] if isinstance(value, str) else [str(item) for item in value]


def _asset_item(value: Any) -> Any:
    if isinstance(value, str):
        if not is_rid(value):
            raise ValueError(
                f"{value!r} is no RID; a file on this disk is given as LocalFile(path={value!r})"
            )
        return AssetSpec(rid=value)
    if isinstance(value, AssetSpec | LocalFile):
        return value
    if isinstance(value, PurePath):
        raise ValueError(f"a file on this disk is given as LocalFile(path={str(value)!r})")
    value = _plain(value)
    if isinstance(value, dict):
        return LocalFile.model_validate(value) if "path" in value else AssetSpec.model_validate(value)
    if not isinstance(value, str | AssetSpec | LocalFile):
        raise ValueError("give the RID of an asset, an AssetSpec, or a LocalFile")
    return value


class ExecutionConfiguration(Checked):
    """Everything a run declares before it starts.

    Parameters
    ----------
    datasets : list of DatasetSpec
        ``RID`` and ``RID@version`` are accepted.
    assets : list of AssetSpec or LocalFile
        Bare RIDs are accepted.
    workflow : WorkflowSpec, optional
        May be given to ``create_execution`` instead.
    description : str
        Markdown.
    argv : list of str
        Command line of the run.
    config_choices : dict
        Hydra group to chosen option.

    Examples
    --------
    >>> config = ExecutionConfiguration(description="Training", datasets=["1-ABC"], assets=["2-GHI"])
    >>> [asset.rid for asset in config.assets]
    ['2-GHI']
    >>> ExecutionConfiguration(datasets=["1-ABC@2.1.0"]).datasets[0].version
    DatasetVersion('2.1.0')
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    datasets: list[DatasetSpec] = Field(default_factory=list)
    assets: list[Annotated[AssetSpec | LocalFile, Field(union_mode="left_to_right")]] = Field(
        default_factory=list
    )
    workflow: WorkflowSpec | None = None
    description: str = ""
    argv: list[str] = Field(default_factory=lambda: list(sys.argv))
    config_choices: dict[str, str] = Field(default_factory=dict)

    @field_validator("datasets", mode="before")
    @classmethod
    def _list_datasets(cls, value: Any) -> Any:
        return list(value) if value is not None else []

    @field_validator("workflow", mode="before")
    @classmethod
    def _no_name(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise ValueError("give a workflow, not its name: ml.create_workflow(name, workflow_type)")
        return value

    @field_validator("assets", mode="before")
    @classmethod
    def _list_assets(cls, value: Any) -> Any:
        return [_asset_item(item) for item in value] if value is not None else []

    @staticmethod
    def load_configuration(path: Path | str) -> ExecutionConfiguration:
        """Read a configuration from a JSON file.

        Raises
        ------
        DerivaMLValidationError
            If the file is missing or is no configuration.
        """
        try:
            stored = json.loads(Path(path).read_text())
            if isinstance(stored, dict):
                # Files of other releases hold fields that mean nothing here.
                stored = {
                    name: stored[name] for name in ExecutionConfiguration.model_fields if name in stored
                }
            return ExecutionConfiguration.model_validate(stored)
        except (OSError, ValueError) as error:
            raise DerivaMLValidationError(f"{path} is not an execution configuration: {error}") from error
