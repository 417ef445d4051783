"""What a feature table looks like, and the class of its records.

A feature is a table that says: *this execution gave that row the value so-and-so*. Its key is the execution, the
labelled row, the name of the feature and, rarely, qualifiers such as left or right eye; all else is the value.
"""

from __future__ import annotations

import json
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakKeyDictionary

from pydantic import ConfigDict, Field, create_model

from deriva_ml import markup
from deriva_ml.errors import DerivaMLException
from deriva_ml.model.fields import field_name, field_of
from deriva_ml.model.graph import CatalogModel, FeatureTable
from deriva_ml.names import SYSTEM_COLUMNS
from deriva_ml.reexport import later, room
from deriva_ml.specs import Checked

if TYPE_CHECKING:
    from deriva_ml.model import document
    from deriva_ml.model.graph import Column, Table
else:
    document = room("deriva_ml.model.document")

EXECUTION, FEATURE_NAME = "Execution", "Feature_Name"
_selector = partial(later, "deriva_ml.feature.select")


class FeatureRecord(Checked):
    """One value of a feature for one row; `Feature.feature_record_class` gives the class for a given feature.

    Parameters
    ----------
    Execution : str, optional
        RID of the execution that gave the value; filled in by ``exe.add_features``.
    Feature_Name : str
    RCT : str, optional
        When the value was recorded; set on records that are read.

    Attributes
    ----------
    feature : Feature
        The feature that a record belongs to (class attribute).
    """

    model_config = ConfigDict(
        extra="forbid", arbitrary_types_allowed=True, populate_by_name=True, protected_namespaces=()
    )

    feature: ClassVar[Feature | None] = None

    Execution: str | None = None
    Feature_Name: str = ""
    RCT: str | None = None

    # Where many users look for the functions of `deriva_ml.feature`; what chooses is imported when it is called.
    select_newest = staticmethod(_selector("select_newest"))
    select_latest = staticmethod(_selector("select_latest"))
    select_first = staticmethod(_selector("select_first"))
    select_by_execution = staticmethod(_selector("select_by_execution"))
    select_by_workflow = staticmethod(_selector("select_by_workflow"))
    select_majority_vote = staticmethod(_selector("select_majority_vote"))

    if TYPE_CHECKING:
        # Fields of the classes that are made at run time.
        def __init__(self, **values: Any) -> None: ...

        def __getattr__(self, name: str) -> Any: ...

    @classmethod
    def _defined(cls) -> Feature:
        if cls.feature is None:
            raise DerivaMLException(
                f"{cls.__name__} belongs to no feature; take a class from ml.feature_record_class(table, feature_name)."
            )
        return cls.feature

    @classmethod
    def feature_columns(cls) -> set[Column]:
        """Columns of the value: assets, terms and plain values."""
        return cls._defined().feature_columns

    @classmethod
    def asset_columns(cls) -> set[Column]:
        """Columns that name an asset; they take its RID, or the path of a file that is committed with the record."""
        return cls._defined().asset_columns

    @classmethod
    def term_columns(cls) -> set[Column]:
        """Columns that hold a vocabulary term's name."""
        return cls._defined().term_columns

    @classmethod
    def value_columns(cls) -> set[Column]:
        """Columns that hold a plain value."""
        return cls._defined().value_columns

    def __reduce_ex__(self, protocol: Any) -> Any:
        # A class that was made at run time is found by no name; the feature makes it again in another process.
        if self.feature is None or type(self) is not self.feature.feature_record_class():
            return super().__reduce_ex__(protocol)
        return _filled, (self.feature, dict(self.__dict__), self.model_fields_set)

    def to_row(self) -> dict[str, Any]:
        """Column name to value, as in the catalog; paths as text."""
        row = self.model_dump(by_alias=True)
        return {column: str(value) if isinstance(value, Path) else value for column, value in row.items()}


class Feature:
    """A kind of label on the rows of one table.

    Parameters
    ----------
    model : CatalogModel
        Model of the catalog or bag that has the feature.
    found : FeatureTable
        The table of its values, as the model describes it.

    Attributes
    ----------
    feature_name : str
    target_table : Table
        The labelled table.
    feature_table : Table
        The association table that holds the values.
    target_column : str
        Name of the column with the RID of the labelled row.
    qualifier_columns : list of str
        Names of the key columns beyond execution, feature name and target.
    """

    def __init__(self, model: CatalogModel, found: FeatureTable) -> None:
        self._model = model
        self.feature_name = found.name
        self.target_table: Table = found.target
        self.feature_table: Table = found.table
        self.target_column = found.target_column
        self.qualifier_columns = list(found.qualifiers)

    @cached_property
    def _payload(self) -> dict[str, Column]:
        left_out = {*SYSTEM_COLUMNS, EXECUTION, FEATURE_NAME, self.target_column, *self.qualifier_columns}
        return {column.name: column for column in self.feature_table.columns if column.name not in left_out}

    @cached_property
    def _referenced(self) -> dict[str, Table]:
        """Payload column to the table that it refers to."""
        return {
            next(iter(fkey.foreign_key_columns)).name: fkey.pk_table
            for fkey in self.feature_table.foreign_keys
            if len(fkey.foreign_key_columns) == 1
        }

    @cached_property
    def _definition(self) -> str:
        """All that the feature is made of, as text; the same for every feature that is defined like this one."""
        tables = (self.target_table, self.feature_table, *self._referenced.values())
        names = [(table.schema.name, table.name) for table in tables[:2]]
        definition = (
            *(self.feature_name, *names, self.target_column, self.qualifier_columns),
            *(self._model.ml_schema, sorted(self._model.domain_schemas), document.tables_document(tables)),
        )
        return json.dumps(definition, sort_keys=True)

    def __reduce__(self) -> tuple[Any, ...]:
        # Without the rest of the model, which may be large, and which a worker that gives records back sends each time.
        return _defined_as, (self._definition,)

    @property
    def feature_columns(self) -> set[Column]:
        """Columns of the value: assets, terms and plain values."""
        return set(self._payload.values())

    @cached_property
    def asset_columns(self) -> set[Column]:
        """Columns of the value that name an asset."""
        return {
            column
            for name, column in self._payload.items()
            if name in self._referenced and self._model.is_asset(self._referenced[name])
        }

    @cached_property
    def term_columns(self) -> set[Column]:
        """Columns of the value that hold a vocabulary term's name."""
        return {
            column
            for name, column in self._payload.items()
            if name in self._referenced and self._model.is_vocabulary(self._referenced[name])
        }

    @property
    def value_columns(self) -> set[Column]:
        """Columns of the value that are neither asset nor term."""
        return self.feature_columns - self.asset_columns - self.term_columns

    def asset_table(self, column: str) -> Table | None:
        """Asset table that a column refers to, None for other columns."""
        return self._referenced[column] if column in {found.name for found in self.asset_columns} else None

    def feature_record_class(self) -> type[FeatureRecord]:
        """Class of the records of this feature.

        Columns that the catalog requires are required, others are optional; a column's default is the default of
        the field. Asset columns accept a RID or the path of a file that is committed with the record; so does the
        labelled row itself where it is an asset.

        Returns
        -------
        type
            Subclass of `FeatureRecord`, the same one for the same feature.
        """
        return self._record_class

    @cached_property
    def _record_class(self) -> type[FeatureRecord]:
        columns = self.feature_table.columns
        shape = tuple((column.name, column.type.typename, column.nullok) for column in columns)
        known = _classes.get(self.feature_table)
        if known is None or known[0] != shape:
            known = _classes[self.feature_table] = (shape, self._make_record_class())
        return known[1]

    def _make_record_class(self) -> type[FeatureRecord]:
        columns = {column.name: column for column in self.feature_table.columns}
        paths = {column.name for column in self.asset_columns}
        if self._model.is_asset(self.target_table):
            paths.add(self.target_column)
        fields: dict[str, Any] = {FEATURE_NAME: (str, self.feature_name)}
        for name in (self.target_column, *self.qualifier_columns, *self._payload):
            kind, default = field_of(columns[name], str | Path if name in paths else None)
            field = field_name(name, _RESERVED)
            fields[field] = (kind, default if field == name else Field(default, alias=name))
        made = create_model(
            f"{self.target_table.name}Feature{self.feature_name}",
            __base__=FeatureRecord,
            __module__=__name__,
            __doc__=f"A value of feature {self.feature_name!r} of a row of {self.target_table.name!r}.",
            **fields,
        )
        made.feature = self
        return made

    @cached_property
    def _fields(self) -> list[tuple[str, str, Any]]:
        """Field of a record, its column and default."""
        fields = self.feature_record_class().model_fields
        return [(name, field.alias or name, field.default) for name, field in fields.items()]

    def record_of(self, row: dict[str, Any]) -> FeatureRecord:
        """Make a record of a row that was read, without validating it again."""
        values = {name: row.get(column, default) for name, column, default in self._fields}
        return _filled(self, values, set(values))

    def __repr__(self) -> str:
        columns = ", ".join(self._payload)
        return f"<Feature {self.feature_name!r} of {self.target_table.name!r}: {columns}>"

    def _repr_html_(self) -> str:
        rows = ([name, column.type.typename, column.comment] for name, column in self._payload.items())
        title = f"Feature {self.feature_name} of {self.target_table.name}"
        return markup.table(["column", "type", "comment"], rows, title)


@lru_cache(64)
def _defined_as(definition: str) -> Feature:
    """The feature of a definition that comes from elsewhere: one that this process has, if any of its is like that."""
    for _, known in list(_classes.values()):
        if known.feature is not None and known.feature._definition == definition:
            return known.feature
    name, target, table, target_column, qualifiers, ml_schema, domain_schemas, tables = json.loads(definition)
    made: Any = document.DocumentModel(tables)
    model = CatalogModel(made, ml_schema, domain_schemas)
    target, table = model.name_to_table(tuple(target)), model.name_to_table(tuple(table))
    return Feature(model, FeatureTable(name, target, table, target_column, tuple(qualifiers)))


def _filled(feature: Feature, values: dict[str, Any], given: set[str]) -> FeatureRecord:
    """A record of values that are known to fit, by field; `given` are those that are no defaults."""
    # As `model_construct` does, which looks up every field anew: of a million records that is most of the time.
    kind = feature._record_class
    made = kind.__new__(kind)
    for name, value in (
        ("__dict__", values),
        ("__pydantic_fields_set__", given),
        ("__pydantic_extra__", None),
        ("__pydantic_private__", None),
    ):
        object.__setattr__(made, name, value)
    return made


_classes: WeakKeyDictionary[Any, tuple[tuple[Any, ...], type[FeatureRecord]]] = WeakKeyDictionary()


_RESERVED = frozenset(dir(FeatureRecord)) - {"Execution", "Feature_Name", "RCT"}
