"""Changes of datasets: what two people do at once, what is interrupted, what makes no sense."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import requests

from deriva_ml.dataset import dataset as datasets
from deriva_ml.dataset import registry, release
from deriva_ml.dataset.draft import Draft, create_together
from deriva_ml.dataset.release import version_rows
from deriva_ml.ermrest import rows
from deriva_ml.errors import (
    DerivaMLConflictError,
    DerivaMLDatasetNotFound,
    DerivaMLException,
    DerivaMLRidsNotFound,
    DerivaMLTableTypeError,
    DerivaMLValidationError,
)
from deriva_ml.model.build import Reference, association_table


def labels(dataset: Any) -> list[str]:
    return [str(entry.dataset_version) for entry in dataset.dataset_history()]


def test_somebody_releases_between_the_dev_version_and_the_change(lab: Any, before_request: Any) -> None:
    first, second = lab.subjects(1), lab.subjects(1)
    dataset = lab.dataset(Subject=first)
    other = datasets.lookup(lab.other_session("other"), dataset.dataset_rid)
    before_request(
        "POST /ermrest/catalog/1/entity/lab:Dataset_Subject", lambda: other.release("minor", "theirs")
    )
    dataset.add_dataset_members({"Subject": second})
    assert labels(dataset) == ["0.1.0", "0.2.0", "0.3.0", "0.3.0.post1.dev1"]
    assert len(dataset.list_dataset_members(version="0.3.0")["Subject"]) == 1
    assert str(dataset.release("minor", "mine")) == "0.4.0"
    assert len(dataset.list_dataset_members(version="0.4.0")["Subject"]) == 2


def test_somebody_changes_and_releases_while_a_dev_version_is_opened(lab: Any, before_request: Any) -> None:
    dataset = lab.dataset(Subject=lab.subjects(1))
    other = datasets.lookup(lab.other_session("other"), dataset.dataset_rid)

    def overtake() -> None:
        other.add_dataset_members({"Subject": lab.subjects(1)})
        other.release("minor", "theirs")

    before_request("POST /ermrest/catalog/1/entity/deriva-ml:Dataset_Version", overtake)
    dataset.add_dataset_members({"Subject": lab.subjects(1)})
    assert labels(dataset) == ["0.1.0", "0.2.0", "0.3.0", "0.3.0.post1.dev1"]
    newest = dataset.dataset_history()[-1].version_rid
    assert registry.lookup(lab.session, dataset.dataset_rid)["Version"] == newest
    assert len(dataset.list_members("Subject")) == 3


def test_of_two_who_change_at_once_one_is_told(lab: Any, before_request: Any) -> None:
    dataset = lab.dataset(Subject=lab.subjects(1))
    dataset.mark_dev("open")
    other = datasets.lookup(lab.other_session("other"), dataset.dataset_rid)
    theirs, mine = lab.subjects(1), lab.subjects(1)
    before_request("PUT /ermrest/catalog/1/attributegroup", lambda: other.add_dataset_members(theirs))
    with pytest.raises(DerivaMLConflictError, match="somebody else at the same time"):
        dataset.add_dataset_members(mine)
    assert set(theirs) < set(dataset.list_members("Subject"))
    dataset.add_dataset_members(mine)
    assert set(theirs + mine) < set(dataset.list_members("Subject"))


@pytest.mark.parametrize(
    "differs",
    [
        lambda dataset: dataset.list_dataset_members(version="0.1.0")["Subject"] != [],
        lambda dataset: dataset.compare_versions("0.1.0", "0.1.0") != {},
        lambda dataset: dataset.release_diff() != {},
        lambda dataset: dataset.is_dirty(),
    ],
)
def test_a_first_release_without_a_snapshot_is_pinned_when_it_is_read(lab: Any, differs: Any) -> None:
    dataset = lab.dataset()
    (entry,) = dataset.dataset_history()
    table = lab.session.ml_table("Dataset_Version")
    rows.update_one(lab.session.connection, table, entry.version_rid, Snapshot=None)
    assert not differs(dataset)
    (pinned,) = dataset.dataset_history()
    assert pinned.snapshot
    rows.update_one(lab.session.connection, table, entry.version_rid, Snapshot=None)
    dataset.add_dataset_members({"Subject": lab.subjects(2)})
    assert dataset.list_dataset_members(version="0.1.0")["Subject"] == []


def test_members_that_were_added_in_part_are_completed_by_the_same_call(
    lab: Any, before_request: Any
) -> None:
    members = {"Subject": lab.subjects(3), "Sample": lab.rows("Sample", 2)}
    dataset = lab.dataset()

    def die() -> None:
        raise KeyboardInterrupt

    before_request("POST /ermrest/catalog/1/entity/lab:Dataset_Sample", die)
    with pytest.raises(KeyboardInterrupt):
        dataset.add_dataset_members(members)
    assert (len(dataset.list_members("Subject")), dataset.list_members("Sample")) == (3, [])
    dataset.add_dataset_members(members)
    assert len(dataset.list_members("Sample")) == 2
    with pytest.raises(DerivaMLValidationError, match="Already in dataset.*validate=False"):
        dataset.add_dataset_members(members)


def test_what_is_no_member_is_not_removed_in_silence(lab: Any, caplog: pytest.LogCaptureFixture) -> None:
    inside, outside = lab.subjects(2), lab.subjects(1)
    dataset = lab.dataset(Subject=inside)
    with pytest.raises(DerivaMLValidationError, match=f"Not in dataset.*{outside[0]}.*Nothing was removed"):
        dataset.delete_dataset_members(outside)
    assert str(dataset.current_version) == "0.2.0"
    with caplog.at_level(logging.WARNING, "deriva_ml"):
        dataset.delete_dataset_members({"Subject": [inside[0], *outside]})
    assert outside[0] in caplog.text
    assert dataset.list_members("Subject") == inside[1:]


def test_deleting_with_all_that_is_nested(lab: Any) -> None:
    inner, middle, whole, other = (lab.dataset() for _ in range(4))
    shared, under_shared = lab.dataset(), lab.dataset()
    # `inner` is nearer to the whole than `middle`, which contains it as well.
    whole.add_dataset_members({"Dataset": [inner.dataset_rid, shared.dataset_rid]})
    whole.add_dataset_members({"Dataset": [middle.dataset_rid]})
    middle.add_dataset_members({"Dataset": [inner.dataset_rid]})
    other.add_dataset_members({"Dataset": [shared.dataset_rid]})
    shared.add_dataset_members({"Dataset": [under_shared.dataset_rid]})
    gone = registry.delete(lab.session, whole.dataset_rid, recurse=True)
    assert set(gone) == {whole.dataset_rid, inner.dataset_rid, middle.dataset_rid}
    assert shared.list_dataset_parents() == [other]


def test_datasets_made_together_are_seen_together(lab: Any) -> None:
    before = len(datasets.find(lab.session, deleted=True))

    directories = lab.session.ml_table("Directory_Dataset")

    def fail(made: Any) -> None:
        assert len(datasets.find(lab.session, deleted=True)) == before
        places = [{"Dataset": one.dataset_rid, "Path": "p"} for one in made]
        rows.insert(lab.session.connection, directories, places)
        read = [(one.dataset_rid, one.version_rid) for one in made]
        registry.insert_inputs(lab.session, lab.execution_rid, read)
        raise DerivaMLException("something else went wrong")

    drafts = [
        Draft("part", ["Training"], {"Subject": lab.subjects(2)}),
        Draft("whole", ["Split"], nested=[0]),
    ]
    with pytest.raises(DerivaMLException, match="went wrong"):
        create_together(lab.session, drafts, lab.execution_rid, extend=fail)
    table = lab.session.ml_table("Dataset")
    assert len(list(rows.read(lab.session.connection, table))) == before
    assert list(rows.read(lab.session.connection, directories)) == []
    part, whole = create_together(lab.session, drafts, lab.execution_rid)
    found = datasets.lookup(lab.session, whole.dataset_rid)
    assert [child.dataset_rid for child in found.list_dataset_children()] == [part.dataset_rid]
    assert labels(found) == ["0.1.0"]
    (entry,) = found.dataset_history()
    assert (entry.execution_rid, bool(entry.snapshot)) == (lab.execution_rid, True)


def test_what_an_interrupted_creation_left_is_no_dataset(lab: Any) -> None:
    table = lab.session.ml_table("Dataset")
    (row,) = rows.insert(lab.session.connection, table, [{"Description": "half", "Deleted": True}])
    assert row["RID"] not in {one.dataset_rid for one in datasets.find(lab.session, deleted=True)}
    with pytest.raises(DerivaMLDatasetNotFound, match="its creation was interrupted"):
        datasets.lookup(lab.session, row["RID"], deleted=True)
    with pytest.raises(DerivaMLDatasetNotFound, match="has no version"):
        version_rows(lab.session, row["RID"])


def test_a_release_is_told_of_a_change_meanwhile(lab: Any, before_request: Any) -> None:
    dataset = lab.dataset()
    dataset.mark_dev("mine")
    other = datasets.lookup(lab.other_session("other"), dataset.dataset_rid)
    before_request("PUT /ermrest/catalog/1/attributegroup", lambda: other.mark_dev("theirs"))
    with pytest.raises(DerivaMLConflictError):
        release.release(lab.session, dataset.dataset_rid, "minor", "mine")
    assert labels(dataset) == ["0.1.0", "0.1.0.post1.dev2"]


def test_makers_that_are_no_executions_are_named(lab: Any) -> None:
    dataset, before = lab.dataset(), len(datasets.find(lab.session, deleted=True))
    dataset.mark_dev("open")
    for call in (
        lambda rid: datasets.create(lab.session, execution_rid=rid),
        lambda rid: dataset.release("minor", "x", rid),
        lambda rid: dataset.add_dataset_members(lab.subjects(1), execution_rid=rid),
    ):
        with pytest.raises(DerivaMLTableTypeError, match="is not the RID of an execution"):
            call(dataset.dataset_rid)
        with pytest.raises(DerivaMLRidsNotFound, match="9-ZZZZ"):
            call("9-ZZZZ")
    assert len(datasets.find(lab.session, deleted=True)) == before
    assert labels(dataset) == ["0.1.0", "0.1.0.post1.dev1"]


def test_a_deleted_dataset_does_not_change(lab: Any) -> None:
    dataset = lab.dataset()
    dataset.mark_dev("open")
    datasets.delete(lab.session, dataset)
    with pytest.raises(DerivaMLDatasetNotFound, match="is deleted"):
        dataset.add_dataset_members(lab.subjects(1))
    with pytest.raises(DerivaMLDatasetNotFound, match="is deleted"):
        dataset.release("minor", "x")


def test_a_deleted_dataset_is_not_nested(lab: Any) -> None:
    inner, outer = lab.dataset(), lab.dataset()
    datasets.delete(lab.session, inner)
    for members in ([inner], {"Dataset": [inner.dataset_rid]}):
        with pytest.raises(
            DerivaMLDatasetNotFound, match=f"Deleted, so it cannot be nested.*{inner.dataset_rid}"
        ):
            outer.add_dataset_members(members)
    assert (outer.list_dataset_children(), labels(outer)) == ([], ["0.1.0"])


def test_members_may_be_given_as_datasets(lab: Any) -> None:
    inner, outer = lab.dataset(), lab.dataset()
    outer.add_dataset_members([inner])
    assert outer.list_dataset_children() == [inner]
    workflow = next(row["RID"] for row in lab.session.reader.rows(lab.session.ml_table("Workflow")))
    with pytest.raises(DerivaMLTableTypeError, match="cannot be members of a dataset: only rows of"):
        outer.add_dataset_members([workflow])


def test_requests_do_not_grow_with_members(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    plain = requests.Session.send

    def counted(self: Any, request: Any, **options: Any) -> Any:
        sent.append(request.method)
        return plain(self, request, **options)

    few, many = lab.subjects(2), lab.subjects(3000)
    monkeypatch.setattr(requests.Session, "send", counted)
    numbers = []
    for rids in (few, many):
        for members in (rids, {"Subject": rids}):
            dataset = lab.dataset()
            sent.clear()
            dataset.add_dataset_members(members)
            assert len(dataset.list_members("Subject")) == len(rids)
            numbers.append(len(sent))
    # Many are looked up among all that there are, which are counted first.
    assert max(numbers) <= min(numbers) + 3, numbers


def test_whether_a_dataset_is_dirty_is_told_without_its_rows(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    subjects = lab.subjects(3)
    dataset = lab.dataset(Subject=subjects[:2])
    inside = lab.dataset(Sample=lab.rows("Sample", 1))
    dataset.add_dataset_members({"Dataset": [inside.dataset_rid]})
    dataset.release("minor", "nested")
    asked: list[str] = []
    plain = requests.Session.send

    def sending(self: Any, request: Any, **options: Any) -> Any:
        asked.append(request.path_url)
        return plain(self, request, **options)

    monkeypatch.setattr(requests.Session, "send", sending)
    # Others make datasets and change theirs.
    lab.dataset(Subject=subjects)
    asked.clear()
    assert not dataset.is_dirty()
    assert not [url for url in asked if "/attribute/" in url]
    assert len([url for url in asked if "Dataset_Version" in url]) == 1
    assert len(asked) < 60
    inside.add_dataset_members({"Sample": lab.rows("Sample", 1)})
    assert dataset.is_dirty()
    dataset.mark_dev()
    dataset.release("minor", "more")
    assert not dataset.is_dirty()
    (link, *_) = rows.read(
        lab.session.connection, lab.session.table("Dataset_Subject"), where={"Dataset": [dataset.dataset_rid]}
    )
    rows.delete(lab.session.connection, lab.session.table("Dataset_Subject"), {"RID": [link["RID"]]})
    assert dataset.is_dirty()
    assert dataset.release_diff() == {"Dataset_Subject": 1, "Subject": 1}


def test_rows_that_only_join_others_are_no_members(lab: Any) -> None:
    joined = [Reference("lab", "Subject"), Reference("lab", "Sample")]
    lab.session.create_tables([association_table(joined, name="Sampled")])
    with pytest.raises(DerivaMLTableTypeError, match="they only join Subject and Sample"):
        registry.add_element_type(lab.session, "Sampled")
