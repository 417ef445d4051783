"""Whatever a caller gives a reader of datasets, the answer is an error of this library, which says what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.contract.readable import WAYS, Readable

from deriva_ml import DerivaML
from deriva_ml.dataset import Dataset, DatasetBag
from deriva_ml.dataset.denormalize import Denormalizer
from deriva_ml.errors import (
    DerivaMLException,
    DerivaMLInvalidTerm,
    DerivaMLReadOnlyError,
    DerivaMLTableNotFound,
    DerivaMLTableTypeError,
)
from deriva_ml.feature import reduce_with_selector
from deriva_ml.feature.select import select_by_workflow, select_majority_vote, select_newest

NO_TABLES = (5, "", "Nope", b"x", object())
NO_LISTS = (None, 5, "Image", b"x", object())
NO_FUNCTIONS = (5, "newest", b"x", [])


def wrong_reads(dataset: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Calls that must fail."""
    values = dataset.feature_values
    for bad in NO_TABLES:
        yield "table", lambda bad=bad: dataset.list_members(bad)
        yield "table", lambda bad=bad: dataset.lookup_feature(bad, "Quality")
        yield "feature", lambda bad=bad: dataset.lookup_feature("Image", bad)
        yield "workflow", lambda bad=bad: dataset.list_workflow_executions(bad)
    for bad in NO_LISTS[1:]:
        yield "executions", lambda bad=bad: values("Image", "Quality", execution_rids=bad)
    for bad in NO_FUNCTIONS:
        yield "selector", lambda bad=bad: values("Image", "Quality", bad)
    for bad in ("7", -1, 1.5, [], True):
        yield "limit", lambda bad=bad: values("Image", "Quality", materialize_limit=bad)
        yield "limit", lambda bad=bad: dataset.list_dataset_members(limit=bad)
    yield "vote", lambda: values("Image", "Quality", select_majority_vote("Nope"))
    yield "vote", lambda: values("Image", "Quality", select_majority_vote(5))  # type: ignore[arg-type]
    yield "result", lambda: values("Image", "Quality", lambda records: records)
    yield "container", lambda: select_by_workflow("Analysis", container=None)  # type: ignore[arg-type]
    records = list(values("Image", "Quality"))
    yield "column", lambda: reduce_with_selector(records, "Nope", select_newest)
    yield "records", lambda: reduce_with_selector([1, 2], "Image", select_newest)  # type: ignore[type-var]
    yield "records", lambda: reduce_with_selector(None, "Image", select_newest)  # type: ignore[arg-type]
    yield "selector", lambda: reduce_with_selector(records, "Image", None)  # type: ignore[arg-type]


def wrong_wide_tables(dataset: Any) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Calls that must fail."""
    wide = dataset.get_denormalized_as_dict
    for bad in NO_TABLES:
        yield "row_per", lambda bad=bad: wide(["Image"], row_per=bad)
        yield "feature", lambda bad=bad: Denormalizer(dataset).feature_records(bad)
    for bad in NO_LISTS:
        yield "include", lambda bad=bad: wide(bad)
        yield "include", lambda bad=bad: dataset.describe_denormalized(bad)
        yield "include", lambda bad=bad: dataset.cache_denormalized(bad)
        yield "include", lambda bad=bad: dataset.list_denormalized_columns(bad)
        if bad is not None:
            yield "via", lambda bad=bad: wide(["Image"], via=bad)
            yield "system", lambda bad=bad: wide(["Image"], system_columns=bad)
    for bad in NO_FUNCTIONS:
        yield "selector", lambda bad=bad: wide(["Image", "Quality"], selector=bad)
    for bad in (None, 5, "", b"x"):
        yield "path", lambda bad=bad: dataset.write_denormalized_parquet(bad, ["Image"])
    yield "result", lambda: wide(["Image", "Quality"], selector=lambda records: 5)


def foreign(calls: Iterator[tuple[str, Callable[[], Any]]]) -> list[str]:
    """What happened instead of an error of this library."""
    found = []
    for name, call in calls:
        try:
            made = call()
            made = list(made) if hasattr(made, "__next__") else made
        except DerivaMLException as error:
            if len(str(error)) < 20:
                found.append(f"{name}: {error!r}")
        except Exception as error:
            found.append(f"{name}: {error!r}")
        else:
            found.append(f"{name}: {made!r}")
    return found


@pytest.mark.parametrize("way", ["live", "bag"])
def test_wrong_reads(lab: Readable, way: str) -> None:
    dataset = WAYS[way](lab, lab.inner)
    assert foreign(wrong_reads(dataset)) == []
    if way == "bag":
        assert foreign(wrong_wide_tables(dataset)) == []


def wrong_elsewhere(lab: Readable, bag: DatasetBag, output: Path) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Calls that must fail, of bags and of the makers of datasets."""
    ada = [lab.rids["Ada"]]
    for bad in (None, 5, "Nope", b"x", object()):
        yield "dataset", lambda bad=bad: Denormalizer(bad)
        yield "rids", lambda bad=bad: Denormalizer.from_rids(bad, ml=lab.ml)
        yield "rids", lambda bad=bad: Denormalizer.from_rids({"Subject": bad}, ml=lab.ml)
        yield "ml", lambda bad=bad: Denormalizer.from_rids(ada, ml=bad)
        yield "bag", lambda bad=bad: DatasetBag(bad)
        yield "size", lambda bad=bad: lab.ml.estimate_denormalized_size(bad)
        if bad is not None:
            yield "dataset", lambda bad=bad: DatasetBag(bag.path, bad)
            yield "dataset", lambda bad=bad: bag.catalog.lookup_dataset(bad)
            yield "targets", lambda bad=bad: bag.restructure_assets(output, targets=bad)
            yield "type_selector", lambda bad=bad: bag.restructure_assets(output, type_selector=bad)
            yield "map", lambda bad=bad: bag.restructure_assets(output, type_to_dir_map=bad)
            yield "transformer", lambda bad=bad: bag.restructure_assets(output, file_transformer=bad)
            yield "exclude", lambda bad=bad: lab.inner.download_dataset_bag(exclude_tables=bad)
            yield "terms", lambda bad=bad: lab.ml.create_feature("Image", "Probe", terms=bad)
            yield "assets", lambda bad=bad: lab.ml.create_feature("Image", "Probe", assets=bad)
            yield "metadata", lambda bad=bad: lab.ml.create_feature("Image", "Probe", metadata=bad)
    for bad in ("30", b"x", True, object()):
        yield "days", lambda bad=bad: lab.ml.clear_cache(bad)
    yield "row", lambda: bag.file("Image", "1-NONE")
    for bad in (None, 5, b"x", object()):
        yield "output", lambda bad=bad: bag.restructure_assets(bad)
        yield "row", lambda bad=bad: bag.file("Image", bad)


def test_wrong_elsewhere(lab: Readable, tmp_path: Path) -> None:
    assert foreign(wrong_elsewhere(lab, lab.bag(lab.inner), tmp_path)) == []
    assert not list(tmp_path.iterdir())


def test_tables_that_were_left_out(lab: Readable, caplog: pytest.LogCaptureFixture) -> None:
    """They are not taken for empty ones."""
    excluded = {"Visit", "Execution_Image_Quality", "Subject"}
    bag = lab.outer.download_dataset_bag(exclude_tables=excluded)
    for read in (
        lambda: list(bag.get_table_as_dict("Visit")),
        lambda: bag.get_table_as_dataframe("Visit"),
        lambda: list(bag.get_denormalized_as_dict(["Image", "Visit"])),
        lambda: list(bag.get_denormalized_as_dict(["Image", "Site"])),
        lambda: bag.feature_values("Image", "Quality"),
        lambda: bag.catalog.feature_values("Image", "Quality"),
        lambda: bag.as_torch_dataset("Subject"),
    ):
        with pytest.raises(DerivaMLTableNotFound, match=r"left out of the bag .*exclude_tables"):
            read()
    assert "left out" in bag.describe_denormalized(["Image", "Visit"])["warnings"][0]
    members = bag.list_dataset_members(recurse=True)
    assert (len(members["Image"]), members["Subject"]) == (4, [])
    assert "Members in Subject are not listed" in caplog.text


def test_joins_through_tables_without_rows(lab: Readable) -> None:
    """A table that nothing led to is in no bag; what lies behind it is empty."""
    assert {type(row["Exposure"]) for row in lab.ml.get_table_as_dict("Image")} == {float}
    mothers = lab.ml.get_table_as_dataframe("Subject")["Mother"]
    assert [value for value in mothers if not value] == [None]
    bag = lab.outer.download_dataset_bag(exclude_tables={"Visit"})
    found = bag.catalog.lookup_dataset(lab.inner.dataset_rid)
    # As in a bag of images without a visit.
    found.reader.excluded = frozenset()
    rows = list(found.get_denormalized_as_dict(["Image", "Subject", "Site"], ignore_unrelated_anchors=True))
    assert {(row["Subject.Name"], row["Site.Name"]) for row in rows if row["Image.RID"]} == {(None, None)}


def test_a_bag_and_its_reader_say_where_they_are(lab: Readable) -> None:
    bag = lab.bag(lab.inner)
    assert repr(bag.catalog) == f"<BagCatalog of dataset {bag.catalog.root_rid} at {bag.path}>"
    assert repr(bag.reader) == f"<LocalReader of {bag.path}>"


# --- what a bag cannot do -------------------------------------------------------------------------------------------------


def test_a_bag_is_a_catalog_that_can_be_read(lab: Readable) -> None:
    catalog = lab.bag(lab.inner).catalog
    assert [each.dataset_rid for each in catalog.find_datasets()] == [
        lab.outer.dataset_rid,
        lab.inner.dataset_rid,
    ]
    good = catalog.lookup_term("Grade", "Good")
    assert (good.name, good.description) == ("Good", "good")
    assert [term.name for term in catalog.list_vocabulary_terms("Grade")] == ["Good", "Bad"]
    with pytest.raises(DerivaMLInvalidTerm, match="it has: Bad, Good"):
        catalog.lookup_term("Grade", "Nope")
    with pytest.raises(DerivaMLTableTypeError):
        catalog.lookup_term("Image", "Nope")
    assert len(catalog.get_table_as_dataframe("Image")) == len(list(catalog.get_table_as_dict("Image"))) == 5
    assert catalog.lookup_feature("Image", "Quality").feature_name == "Quality"
    assert len(list(catalog.feature_values("Image", "Quality", select_newest))) == 5
    assert lab.rids["Grade one"] in catalog.list_workflow_executions("Ingest")


NEED_A_CATALOG = {
    Dataset: "bag_info cache compare_versions download_dataset_bag estimate_bag_size is_dirty release_diff to_markdown",
    DerivaML: "catalog_snapshot cite download_dataset_bag find_executions lookup_lineage pathBuilder resolve_rid whoami",
}


def test_what_a_bag_cannot_do_is_refused(lab: Readable) -> None:
    bag = lab.bag(lab.inner)
    for sealed, kind in ((bag, Dataset), (bag.catalog, DerivaML)):
        writes = [name for name in dir(kind) if name.startswith(("add_", "create_", "delete_", "release"))]
        for name in (*NEED_A_CATALOG[kind].split(), *writes):
            assert hasattr(kind, name)
            with pytest.raises(DerivaMLReadOnlyError, match=rf"{name}: a bag .*DerivaML\('.*', '1'\)"):
                getattr(sealed, name)("anything")
    with pytest.raises(DerivaMLReadOnlyError, match="Cannot set description"):
        bag.description = "Changed"
    assert not hasattr(bag, "nonsense")
