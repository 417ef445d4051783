"""What is given to calls about datasets, and does not fit, is refused by name before anything is asked or written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests

from deriva_ml.dataset import dataset as datasets
from deriva_ml.dataset import registry
from deriva_ml.dataset.minid import DatasetMinid
from deriva_ml.ermrest import rows
from deriva_ml.errors import (
    DerivaMLException,
    DerivaMLReadOnlyError,
    DerivaMLTableNotFound,
    DerivaMLValidationError,
)
from deriva_ml.records import DatasetReference
from deriva_ml.specs import DatasetSpec


def test_a_dataset_is_seen_at_the_version_that_is_asked_for(lab: Any) -> None:
    first, second = lab.subjects(1), lab.subjects(2)
    dataset = lab.dataset(Subject=first)
    dataset.add_dataset_members({"Subject": second})
    rid = dataset.dataset_rid
    snapshot = dataset.dataset_history()[1].snapshot
    for wanted in (DatasetSpec(rid=rid, version="0.2.0"), f"{rid}@0.2.0", f"{rid}@{snapshot}"):
        old = datasets.lookup(lab.session, wanted)
        assert old.list_members("Subject") == first
        assert [str(entry.dataset_version) for entry in old.dataset_history()] == ["0.1.0", "0.2.0"]
        assert (
            old.download_dataset_bag(old.current_version, materialize=False).list_members("Subject") == first
        )
        with pytest.raises(DerivaMLReadOnlyError, match="is seen at a snapshot"):
            old.add_dataset_members({"Subject": lab.subjects(1)})
    now = datasets.lookup(lab.session, f"{rid}@0.2.0.post1.dev1")
    assert len(now.list_members("Subject")) == 3
    assert len(datasets.lookup(lab.session, DatasetSpec(rid=rid)).list_members("Subject")) == 3
    for wanted in (DatasetSpec(rid=rid, version="7.2.0"), f"{rid}@7.2.0"):
        with pytest.raises(
            DerivaMLException, match=r"no version 7\.2\.0\. Available versions: 0\.1\.0, 0\.2\.0"
        ):
            datasets.lookup(lab.session, wanted)
    with pytest.raises(DerivaMLValidationError, match="no version of a dataset"):
        datasets.lookup(lab.session, f"{rid}@7.2")


def test_nested_datasets_are_seen_at_the_version_too(lab: Any) -> None:
    first = lab.subjects(1)
    inner = lab.dataset(Subject=first)
    outer = lab.dataset(Dataset=[inner.dataset_rid])
    inner.add_dataset_members({"Subject": lab.subjects(1)})
    (then,), (now,) = outer.list_dataset_children(version="0.2.0"), outer.list_dataset_children()
    assert (then.list_members("Subject"), len(now.list_members("Subject"))) == (first, 2)
    assert (str(then.current_version), str(now.current_version)) == ("0.2.0", "0.2.0.post1.dev1")
    assert then.list_dataset_parents() == inner.list_dataset_parents() == [outer]
    assert inner.list_dataset_parents(version="0.2.0") == []


@pytest.mark.parametrize("given", [None, 3, "", [], object()])
def test_what_is_no_dataset_is_not_looked_up(lab: Any, given: Any) -> None:
    for call in (datasets.lookup, datasets.delete):
        with pytest.raises(DerivaMLValidationError, match="is no dataset; give its RID"):
            call(lab.session, given)


@pytest.fixture(scope="module")
def one(lab: Any) -> Any:
    """A dataset of two subjects, one of which has no name."""
    rids = lab.subjects(2)
    rows.update_one(lab.session.connection, lab.session.table("Subject"), rids[0], Name=None)
    return lab.dataset(Subject=rids)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda ds: ds.download_dataset_bag(exclude_tables="Sample"),
            "exclude_tables cannot be 'Sample'; give a list",
        ),
        (lambda ds: ds.bag_info(exclude_tables="Sample"), "exclude_tables cannot be 'Sample'"),
        (lambda ds: ds.estimate_bag_size(exclude_tables=3), "exclude_tables cannot be 3"),
        (lambda ds: ds.download_dataset_bag(fetch_concurrency=0), "fetch_concurrency .given 0."),
        (lambda ds: ds.download_dataset_bag(timeout=(0, 1)), r"timeout\.0 .given 0."),
        (lambda ds: ds.add_dataset_types(None), "dataset_types cannot be None; give a list"),
        (lambda ds: ds.add_dataset_type(["Training"]), r"type of a dataset cannot be \['Training'\]"),
        (lambda ds: ds.remove_dataset_type(None), "type of a dataset cannot be None"),
        (lambda ds: ds.add_dataset_members("1-ABC"), "members cannot be '1-ABC'; give a list"),
        (lambda ds: ds.delete_dataset_members({"Subject": "1-ABC"}), "members cannot be '1-ABC'"),
        (lambda ds: ds.get_denormalized_as_dict("Subject"), "include_tables cannot be 'Subject'"),
        (lambda ds: datasets.find(ds._session, sort=3), "sort cannot be 3; give True"),
        (lambda ds: ds.at("1.0"), "no version of a dataset"),
        (lambda ds: setattr(ds, "description", 5), "description must be text, not 5"),
        (lambda ds: ds.mark_dev(["why"]), r"description must be text, not \['why'\]"),
        (lambda ds: ds.release("minor", 5), "description must be text, not 5"),
        (lambda ds: datasets.create(ds._session, description=5), "description must be text, not 5"),
    ],
)
def test_values_that_do_not_fit(one: Any, call: Any, message: str) -> None:
    with pytest.raises(DerivaMLValidationError, match=message):
        result = call(one)
        list(result)
    assert str(one.current_version) == "0.2.0"


def test_what_is_in_the_cache(one: Any) -> None:
    found = one.cache("0.2.0", exclude_tables=["Sample"])
    assert (found["status"], found["tables"]["Subject"]["row_count"]) == ("cached_materialized", 2)
    assert (Path(found["cache_path"]) / "bagit.txt").is_file()
    assert one.bag_info("0.2.0")["status"] == "not_cached"


def test_datasets_that_have_members_in_a_table(lab: Any, one: Any) -> None:
    def found(*asked: str) -> list[DatasetReference]:
        return [
            each
            for each in registry.find_referencing(lab.session, *asked)
            if each.dataset_rid == one.dataset_rid
        ]

    assert found("Subject") == found("Subject", "RID") == [DatasetReference(one.dataset_rid, "Subject", 2)]
    assert found("Subject", "Name") == [DatasetReference(one.dataset_rid, "Subject", 1)]
    assert found("Sample") == registry.find_referencing(lab.session, "Grade") == []
    with pytest.raises(DerivaMLTableNotFound, match="Did you mean 'Subject'"):
        found("Subjekt")
    with pytest.raises(DerivaMLValidationError, match="has no column 'Nme'. Did you mean 'Name'"):
        found("Subject", "Nme")
    gone = lab.dataset(Sample=lab.rows("Sample", 1))
    before = registry.find_referencing(lab.session, "Sample")
    datasets.delete(lab.session, gone)
    assert len(registry.find_referencing(lab.session, "Sample")) == len(before) - 1


def test_drift_of_many_members_takes_few_requests(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    few, many = lab.dataset(Subject=lab.subjects(2)), lab.dataset(Subject=lab.subjects(4_000))
    sent: list[str] = []
    plain = requests.Session.send

    def counted(self: Any, request: Any, **options: Any) -> Any:
        sent.append(request.method)
        return plain(self, request, **options)

    monkeypatch.setattr(requests.Session, "send", counted)
    numbers = []
    for dataset in (few, many):
        sent.clear()
        assert not dataset.is_dirty()
        numbers.append(len(sent))
    # Now and at the version: how many rows there are, and what their grades are in two more requests.
    assert numbers[1] <= numbers[0] + 10


def test_what_a_minid_service_says_of_a_version() -> None:
    made = DatasetMinid(
        dataset_version="1.2.0",
        minid="minid:a",
        bag_url="https://example.org/b",
        identifier="ark:/1/a",
        landing_page="https://example.org/a",
        version_rid="1-ABC@33F-K1K0-YXV8",
        checksum=[{"function": "md5", "value": "1"}],
    )
    assert (made.checksum, made.metadata, str(made.dataset_version)) == ("", {}, "1.2.0")
    assert made.model_dump()["dataset_snapshot"] == "33F-K1K0-YXV8"
    with pytest.raises(DerivaMLValidationError, match="landing_page is missing"):
        DatasetMinid(dataset_version="1.2.0")
