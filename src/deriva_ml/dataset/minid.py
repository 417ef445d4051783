"""The persistent identifier of a version of a dataset, as a Minid service describes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import AliasChoices, ConfigDict, Field, computed_field, field_validator

from deriva_ml.names import RID, DatasetVersion
from deriva_ml.specs import Checked


def _either(name: str, alias: str) -> Any:
    return Field(validation_alias=AliasChoices(alias, name))


class DatasetMinid(Checked):
    """A published bag of a version of a dataset.

    Parameters
    ----------
    dataset_version : DatasetVersion
    metadata : dict
        What the service keeps with the identifier.
    minid : str
        Short form of the identifier; the service calls it ``compact_uri``.
    bag_url : str
        Where the bag is; ``location`` of the service, the first if there are several.
    identifier, landing_page : str
    version_rid : str
        RID of the dataset at the snapshot of the version, ``rid@snapshot``; ``RID`` of the service.
    checksum : str
        SHA-256 of the archive; taken from the ``checksums`` of the service.

    Examples
    --------
    >>> made = DatasetMinid(
    ...     dataset_version="1.2.0", compact_uri="minid:abc", location=["https://example.org/bag.zip"],
    ...     identifier="ark:/57799/abc", landing_page="https://example.org/abc", RID="1-ABC@33F-K1K0-YXV8",
    ...     checksums=[{"function": "sha256", "value": "0f"}],
    ... )
    >>> made.dataset_rid, made.dataset_snapshot, made.bag_url, made.checksum
    ('1-ABC', '33F-K1K0-YXV8', 'https://example.org/bag.zip', '0f')
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, populate_by_name=True)

    dataset_version: DatasetVersion
    metadata: dict[str, Any] = Field(default_factory=dict)
    minid: str = _either("minid", "compact_uri")
    bag_url: str = _either("bag_url", "location")
    identifier: str
    landing_page: str
    version_rid: RID = _either("version_rid", "RID")
    checksum: str = Field(default="", validation_alias=AliasChoices("checksums", "checksum"))

    @field_validator("dataset_version", mode="before")
    @classmethod
    def _read_version(cls, value: Any) -> DatasetVersion:
        return DatasetVersion.coerce(value)

    @field_validator("bag_url", mode="before")
    @classmethod
    def _first_place(cls, value: Any) -> Any:
        return next(iter(value), None) if isinstance(value, list | tuple) else value

    @field_validator("checksum", mode="before")
    @classmethod
    def _sha256(cls, value: Any) -> Any:
        if isinstance(value, str) or not isinstance(value, Iterable):
            return value
        found = (each for each in value if isinstance(each, Mapping) and each.get("function") == "sha256")
        return next((each.get("value") for each in found), "")

    @computed_field  # type: ignore[prop-decorator]  # pydantic reads the property below
    @property
    def dataset_rid(self) -> RID:
        """RID of the dataset."""
        return self.version_rid.partition("@")[0]

    @computed_field  # type: ignore[prop-decorator]  # pydantic reads the property below
    @property
    def dataset_snapshot(self) -> str:
        """Snapshot of the catalog that the version is read at."""
        return self.version_rid.partition("@")[2]
