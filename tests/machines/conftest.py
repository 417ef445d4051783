import pytest
from tests.machines.runs import Lab


@pytest.fixture(scope="package")
def lab(tmp_path_factory):
    """Where small runs are killed."""
    return Lab.made(tmp_path_factory.mktemp("small"), images=6, targets=4)


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    monkeypatch.setenv("DERIVA_ML_ALLOW_DIRTY", "true")
