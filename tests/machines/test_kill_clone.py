"""A clone that is killed at any step is completed by the same call: nothing is lost, nothing is there twice."""

import itertools
import random

import pytest
from tests.machines.runs import dying, in_child

from deriva_ml.catalog.clone import clone_via_bag
from deriva_ml.catalog.origin import get_catalog_provenance
from deriva_ml.dataset import registry
from deriva_ml.dataset.draft import Draft, create_together
from deriva_ml.ermrest import rows
from deriva_ml.ermrest.connect import connect
from deriva_ml.ermrest.listing import list_catalogs

_numbers = itertools.count()


@pytest.fixture(scope="module")
def dataset(lab, tmp_path_factory):
    """RID of a released dataset of the images of a run, one of which was changed since."""
    session = lab.session(tmp_path_factory.mktemp("ingest"))
    lab.run(session, "ingest")
    images = sorted(row["RID"] for row in rows.read(session.connection, session.table("Image")))
    registry.add_element_type(session, "Image")
    (made,) = create_together(session, [Draft("images", members={"Image": images})])
    changed = [{"RID": images[0], "Note": "changed"}]
    rows.update(session.connection, session.table("Image"), changed, columns=["Note"])
    rows.delete(session.connection, session.table("Dataset_Image"), {"Image": images[1:2]})
    return made.dataset_rid


def clone(lab, dataset, folder):
    return clone_via_bag(
        source_hostname=lab.host,
        source_catalog_id=lab.catalog_id,
        dest_hostname=folder / "clone",
        root_rid=dataset,
        output_dir=folder / "bags",
    )


def outcome(folder, id):
    """All rows of a clone, without what it notes by itself, and the bytes of its images."""
    connection = connect(folder / "clone", id)
    details = get_catalog_provenance(connection).clone_details
    assert details.complete
    found = {}
    for schema in connection.model().schemas.values():
        for table in schema.tables.values() if schema.name != "public" else ():
            own = {"RMT", "RMB", *(["Snapshot"] if table.name == "Dataset_Version" else [])}
            read = rows.read(connection, table)
            found[table.name] = [{name: row[name] for name in row if name not in own} for row in read]
    released = connection.at(next(iter(details.snapshots.values())))
    found["released"] = [(row["RID"], row["Note"]) for row in rows.read(released, ("lab", "Image"))]
    found["members"] = [row["Image"] for row in rows.read(released, ("lab", "Dataset_Image"))]
    return found, [connection.store.get_obj(row["URL"]).content for row in found["Image"]]


@pytest.fixture(scope="module")
def undisturbed(lab, dataset, tmp_path_factory):
    """What a clone holds, and number of steps to make it."""
    folder = tmp_path_factory.mktemp("calm")

    def child():
        with dying(-1, folder / "steps"):
            clone(lab, dataset, folder)

    assert in_child(child) == 0
    (only,) = list_catalogs(folder / "clone")
    return outcome(folder, only.id), (folder / "steps").read_text().splitlines()


def check(lab, dataset, folder, step, expected):
    def child():
        with dying(step):
            clone(lab, dataset, folder)

    in_child(child)
    made = clone(lab, dataset, folder)
    assert outcome(folder, made.dest_catalog_id) == expected
    # One that died before it could note that it had made a catalog leaves that behind, empty.
    assert len(list_catalogs(folder / "clone")) in (1, 2)
    assert not list((folder / "bags").rglob("destination.json"))


def writing(steps):
    """Numbers of the steps from the first on that writes something."""
    first = next(number for number, step in enumerate(steps, 1) if " POST " in step)
    return range(first, len(steps) + 1)


def test_killed(lab, dataset, undisturbed, tmp_path):
    expected, steps = undisturbed
    check(lab, dataset, tmp_path, random.Random(7).choice(writing(steps)), expected)


@pytest.mark.soak
def test_killed_everywhere(lab, dataset, undisturbed, tmp_path):
    expected, steps = undisturbed
    for step in range(1, len(steps) + 1, 3):
        check(lab, dataset, tmp_path / str(step), step, expected)
