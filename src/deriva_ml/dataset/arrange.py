"""Lay the asset files of a dataset in folders, one per class, as trainers like to read them."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath, PureWindowsPath
from typing import TYPE_CHECKING, Any, Protocol

from deriva_ml.asset.files import file_name_of
from deriva_ml.errors import DerivaMLConfigurationError, DerivaMLException, DerivaMLValidationError
from deriva_ml.feature.record import Feature, FeatureRecord
from deriva_ml.feature.values import feature_values
from deriva_ml.names import did_you_mean

if TYPE_CHECKING:
    from deriva_ml.model.graph import Table
    from deriva_ml.rows.reader import Reader, Row

logger = logging.getLogger(__name__)

UNKNOWN = "Unknown"
TYPE_FOLDERS = {"Training": "training", "Testing": "testing", "Unknown": "unknown"}


class Files(Protocol):
    """A dataset whose files are on this disk."""

    @property
    def reader(self) -> Reader:
        """Its rows and files."""
        ...

    @property
    def dataset_types(self) -> list[str]:
        """Its types."""
        ...

    def reach(self) -> Mapping[tuple[str, str], Collection[str]]:
        """RIDs of all rows that belong to it, by schema and table."""
        ...

    def list_dataset_children(self) -> Sequence[Files]:
        """Nested datasets."""
        ...

    def find_features(self, table: Any = None) -> list[Feature]:
        """Features of a table."""
        ...


@dataclass(frozen=True)
class Arrangement:
    """How files are laid out.

    Parameters
    ----------
    targets : tuple of str
        Features, or columns of the asset table: one level of folders each.
    selectors : mapping
        For features with several values per asset: which one counts.
    target_transform : callable, optional
        Turns the value of a target into the name of a folder.
    missing : {"unknown", "skip", "error"}
        What becomes of assets without a value.
    use_symlinks : bool
        Whether files are linked rather than copied.
    type_selector : callable, optional
        Chooses one of the types of a dataset; the first by default.
    type_to_dir_map : mapping
        Dataset type to folder; other types give no folder.
    enforce_vocabulary : bool
        Whether features without a term are refused.
    file_transformer : callable, optional
        Writes a changed copy; gets source and target, returns the path that it wrote.
    """

    targets: tuple[str, ...] = ()
    selectors: Mapping[str, Any] = field(default_factory=dict)
    target_transform: Callable[[Any], str] | None = None
    missing: str = "unknown"
    use_symlinks: bool = True
    type_selector: Callable[[list[str]], str] | None = None
    type_to_dir_map: Mapping[str, str] = field(default_factory=lambda: TYPE_FOLDERS)
    enforce_vocabulary: bool = True
    file_transformer: Callable[[Path, Path], Path] | None = None

    def __post_init__(self) -> None:
        if self.missing not in ("unknown", "skip", "error"):
            raise DerivaMLValidationError(
                f"missing must be 'unknown', 'skip' or 'error', not {self.missing!r}."
            )
        for name, folder in self.type_to_dir_map.items():
            if folder is not None and not _stays_inside(folder):
                raise DerivaMLValidationError(
                    f"type_to_dir_map[{name!r}] is {folder!r}, which does not lie in the folder that is arranged; give "
                    "the name of a folder in it."
                )


def _stays_inside(folder: Any) -> bool:
    if not isinstance(folder, str | PurePath):
        return False
    parts = PureWindowsPath(folder)
    return not parts.anchor and ".." not in parts.parts and "\0" not in str(folder)


def arrange(bag: Files, output_dir: Path, table: Table, how: Arrangement) -> dict[Path, Path]:
    """Lay the files of an asset table in folders: dataset types first, then one level per target.

    Files of the same name never replace each other: the RID is put before the name of all but the first.

    Parameters
    ----------
    bag : Files
    output_dir : Path
    table : Table
    how : Arrangement

    Returns
    -------
    dict
        Path in the bag to path where it was placed.

    Raises
    ------
    DerivaMLException
        If values are missing and that is an error, or a target is neither feature nor column.
    DerivaMLConfigurationError
        If files cannot be written there.
    """
    if output_dir.exists() and not output_dir.is_dir():
        raise DerivaMLConfigurationError(f"{output_dir} is a file; name a folder, which need not exist.")
    labels = [_labels(bag, table, name, how) for name in how.targets]
    placed: dict[Path, Path] = {}
    taken: set[Path] = set()
    owners = _owners(bag, table, how)
    for row in bag.reader.rows(table, where={"RID": owners}):
        folders = _folders(row, labels, how)
        source = bag.reader.file(table, row)
        if folders is None:
            continue
        if source is None:
            logger.warning("File of %s %s is not in the bag and left out.", table.name, row["RID"])
            continue
        target = _free(Path(output_dir, *owners[row["RID"]], *folders), row, taken)
        try:
            placed[source] = _place(source, target, output_dir, how)
        except (OSError, shutil.Error) as error:
            reason = getattr(error, "strerror", None) or error
            raise DerivaMLConfigurationError(f"{source} cannot be placed at {target}: {reason}.") from error
    return placed


def _owners(bag: Files, table: Table, how: Arrangement) -> dict[str, list[str]]:
    """For each asset: the type folders of the deepest dataset that reaches it."""
    found: dict[str, tuple[int, list[str]]] = {}
    stack: list[tuple[Files, list[str], int]] = [(bag, _type_folder(bag, how), 0)]
    for dataset, folders, depth in stack:
        for rid in dataset.reach().get((table.schema.name, table.name), ()):
            if rid not in found or depth > found[rid][0]:
                found[rid] = (depth, folders)
        stack += [
            (child, folders + _type_folder(child, how), depth + 1)
            for child in dataset.list_dataset_children()
        ]
    return {rid: folders for rid, (_, folders) in found.items()}


def _type_folder(dataset: Files, how: Arrangement) -> list[str]:
    types = dataset.dataset_types
    if not types:
        chosen = "Testing"
    elif how.type_selector is not None:
        chosen = how.type_selector(types)
        if not isinstance(chosen, str | None):
            raise DerivaMLValidationError(
                f"type_selector must return one of the types of a dataset, or None for no folder, not {chosen!r}; "
                f"its types are: {', '.join(types)}."
            )
    else:
        chosen = next((name for name in types if name in how.type_to_dir_map), types[0])
    folder = how.type_to_dir_map.get(chosen)
    return [folder] if folder else []


def _labels(bag: Files, table: Table, name: str, how: Arrangement) -> Callable[[Row], str | None]:
    """How the folder of a target is found for a row."""
    features = {found.feature_name: found for found in bag.find_features(table)}
    feature = features.get(name)
    if feature is None:
        columns = [column.name for column in table.columns]
        if name not in columns:
            meant = did_you_mean(name, [*features, *columns])
            raise DerivaMLException(
                f"{name!r} is neither a feature of {table.name} ({', '.join(features) or 'it has none'}) nor a column of it "
                f"({', '.join(columns)}).{meant}"
            )
        return lambda row: _text(row[name], how)
    if how.enforce_vocabulary and not feature.term_columns:
        raise DerivaMLException(
            f"Feature {name!r} has no term; pass enforce_vocabulary=False to use other values as folders."
        )
    by_target = _records(bag, feature, how.selectors.get(name), how)
    return lambda row: by_target.get(row["RID"])


def _records(bag: Files, feature: Feature, selector: Any, how: Arrangement) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for record in feature_values(bag.reader, feature, selector):
        target = record.to_row()[feature.target_column]
        label = _text(record, how) if how.target_transform else _text(_value(record, feature), how)
        if found.setdefault(target, label) != label:
            raise DerivaMLException(
                f"{feature.target_table.name} {target} has several values of {feature.feature_name!r}; choose one "
                f"with targets={{{feature.feature_name!r}: select_newest}}."
            )
    return found


def _value(record: FeatureRecord, feature: Feature) -> Any:
    row = record.to_row()
    names = [column.name for column in feature.feature_table.columns if column in feature.feature_columns]
    return next((row[name] for name in names if row.get(name) is not None), None)


def _text(value: Any, how: Arrangement) -> str | None:
    if value is None:
        return None
    if how.target_transform is None:
        return str(value)
    made = how.target_transform(value)
    if not isinstance(made, str):
        raise DerivaMLValidationError(f"target_transform must return text, not {made!r}.")
    return made


def _folders(row: Row, labels: Sequence[Callable[[Row], str | None]], how: Arrangement) -> list[str] | None:
    """Names of the folders for the targets of a row; None if it is left out."""
    found = []
    for name, label in zip(how.targets, labels, strict=True):
        text = label(row)
        if text is None:
            if how.missing == "error":
                raise DerivaMLException(
                    f"Asset {row['RID']} has no value of {name!r}. Pass missing='skip' to leave such assets out, or "
                    f"missing='unknown' to put them into folders {UNKNOWN!r}."
                )
            if how.missing == "skip":
                return None
        found.append(_component(text if text is not None else UNKNOWN))
    return found


def _component(text: str) -> str:
    """Make a label usable as the name of one folder."""
    name = text.replace("/", "_").replace("\\", "_").replace("\0", "_").strip()
    return name if name.strip(".") else f"_{name}"


def _free(folder: Path, row: Row, taken: set[Path]) -> Path:
    target = folder / file_name_of(row)
    while target in taken:
        target = folder / f"{row['RID']}_{target.name}"
    taken.add(target)
    return target


def _place(source: Path, target: Path, output_dir: Path, how: Arrangement) -> Path:
    # A folder may be a link that was there before.
    if not target.parent.resolve().is_relative_to(output_dir.resolve()):
        raise DerivaMLConfigurationError(
            f"{target.parent} leads out of {output_dir}; nothing is written there. Remove the link, or arrange the "
            "files in an empty folder."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    if how.file_transformer is not None:
        return _transformed(how.file_transformer, source, target)
    if how.use_symlinks:
        try:
            target.symlink_to(source.absolute())
        except OSError:
            logger.info("Links are not possible in %s; files are copied.", target.parent)
        else:
            return target
    shutil.copyfile(source, target)
    return target


def _transformed(transform: Callable[[Path, Path], Path], source: Path, target: Path) -> Path:
    written = transform(source, target)
    if not isinstance(written, str | PurePath) or not Path(written).is_file():
        raise DerivaMLValidationError(
            f"file_transformer must return the path that it wrote for {source.name}, as {target}; it returned {written!r}."
        )
    return Path(written)
