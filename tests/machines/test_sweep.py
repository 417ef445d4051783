"""Many processes run executions on one catalog at once."""

import multiprocessing
import traceback

import pytest

from deriva_ml.ermrest import rows
from deriva_ml.execution.execution import create_execution
from deriva_ml.session import Session
from deriva_ml.workflow.workflow import Workflow


def job(lab, folder, number, shared):
    try:
        session = Session.open(
            lab.host, lab.catalog_id, working_dir=folder / ("shared" if shared else str(number))
        )
        workflow = Workflow(
            name="sweep",
            workflow_type="Testing",
            url=f"https://example.org/{folder.name}",
            checksum=folder.name,
        )
        with create_execution(session, workflow=workflow, description=f"{folder.name} {number}") as exe:
            for place in range(3):
                exe.asset_file_path("Image", f"{number}-{place}.png").write_text(f"{folder} {number} {place}")
            exe.update_status("Running", "at work")
        exe.commit_output_assets()
    except BaseException:
        traceback.print_exc()
        raise


def sweep(lab, folder, count, shared):
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=job, args=(lab, folder, number, shared)) for number in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * count
    session = Session.open(lab.host, lab.catalog_id, working_dir=folder / "look")
    [workflow] = rows.read(session.connection, session.table("Workflow"), where={"Checksum": [folder.name]})
    found = list(
        rows.read(session.connection, session.table("Execution"), where={"Workflow": [workflow["RID"]]})
    )
    assert [row["Status"] for row in found] == ["Uploaded"] * count
    made = {"Execution": [row["RID"] for row in found], "Asset_Role": ["Output"]}
    assert rows.count(session.connection, session.table("Image_Execution"), made) == 3 * count


@pytest.mark.parametrize("shared", [True, pytest.param(False, marks=pytest.mark.soak)])
def test_a_few_at_once(lab, tmp_path, shared):
    sweep(lab, tmp_path, 5, shared)


@pytest.mark.soak
def test_many_at_once(lab, tmp_path):
    sweep(lab, tmp_path, 24, shared=True)
