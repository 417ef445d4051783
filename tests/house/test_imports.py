"""Importing is cheap, and heavy libraries stay behind their doors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from deriva_ml.schema import create_ml_catalog

HEAVY = [
    "pandas",
    "sklearn",
    "torch",
    "tensorflow",
    "hydra",
    "hydra_zen",
    "papermill",
    "sqlalchemy",
    "deriva",
    "numpy",
]
MOST_SECONDS = 0.25

PROGRAM = """
import json, resource, sys
def used():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
before = used()
{statement}
print(json.dumps([used() - before, [name for name in {heavy} if name in sys.modules]]))
"""


def _run(statement: str) -> tuple[float, list[str]]:
    program = PROGRAM.format(statement=statement, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    seconds, loaded = json.loads(done.stdout)
    return seconds, loaded


def test_importing_the_package_costs_next_to_nothing() -> None:
    tries = [_run("import deriva_ml") for _ in range(3)]
    assert min(seconds for seconds, _ in tries) < MOST_SECONDS
    assert tries[0][1] == []


@pytest.mark.parametrize(
    "statement",
    [
        "from deriva_ml.execution import ExecutionConfiguration",
        "from deriva_ml.dataset.aux_classes import DatasetSpec",
        "from deriva_ml.execution.state_store import ExecutionStatus",
        "from deriva_ml.core.enums import MLAsset, BuiltinTypes",
        "from deriva_ml.core.definitions import ColumnDefinition, DerivaMLException",
        "from deriva_ml import DerivaMLConfig, RID, AssetFilePath, FeatureRecord, TableDefinition",
    ],
)
def test_what_needs_no_catalog_loads_no_client(statement: str) -> None:
    assert _run(statement)[1] == []


NOT_OF_A_RUN = """
    cryptography globus_sdk jwt pika pkg_resources rich setuptools setuptools_scm waitress pandas psycopg botocore
    deriva_ml.catalog deriva_ml.dataset.dataset deriva_ml.dataset.bag deriva_ml.dataset.download deriva_ml.feature.record
    deriva_ml.execution.audit deriva_ml.execution.queries deriva_ml.experiment deriva_ml.lineage deriva_ml.metrics
    deriva_ml.model.define deriva_ml.rows.live deriva_ml.storage
    deriva_server.backup deriva_server.blobs.s3.backend deriva_server.ermrest.modeling deriva_server.ermrest.walk
    deriva_server.plan.walk deriva_server.removal deriva_server.sql.postgres.server deriva_server.wsgi
""".split()
LOGINS = """
from deriva.core import ErmrestCatalog, GlobusNativeLogin, PollingErmrestCatalog
print(json.dumps([name for name in {names} if name in sys.modules]))
class Mine(PollingErmrestCatalog):
    pass
from deriva.core.polling_ermrest_catalog import PollingErmrestCatalog as Real
from deriva.core.utils.globus_auth_utils import GlobusNativeLogin as Login
assert Mine.__mro__[1] is Real and issubclass(Real, PollingErmrestCatalog)
assert not isinstance(3, GlobusNativeLogin) and GlobusNativeLogin.hosts_to_scope_map is Login.hosts_to_scope_map
"""


def test_opening_the_front_door_loads_no_data_science() -> None:
    assert _run("from deriva_ml import DerivaML")[1] == ["deriva"]


def test_a_run_on_this_disk_loads_nothing_that_it_does_not_use(tmp_path: Path) -> None:
    created = create_ml_catalog(tmp_path, "swift")
    statement = f"""
from deriva_ml import DerivaML, ExecutionConfiguration
ml = DerivaML({str(tmp_path)!r}, {created.catalog_id!r}, working_dir={str(tmp_path / "work")!r})
workflow = ml.create_workflow("Swift", "Training")
with ml.create_execution(ExecutionConfiguration(workflow=workflow)) as execution:
    pass
execution.commit_output_assets()
"""
    program = f"import json, sys\n{statement}\n{LOGINS.format(names=NOT_OF_A_RUN)}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == []
