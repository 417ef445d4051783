"""The demonstration catalog has something of everything."""

from __future__ import annotations

from pathlib import Path

import pytest

from deriva_ml import DerivaML
from deriva_ml.demo_catalog import IMAGES, create_demo_catalog


def test_the_demonstration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERIVA_ML_ALLOW_DIRTY", "true")
    catalog = create_demo_catalog(tmp_path / "demo")
    ml = DerivaML(tmp_path / "demo", catalog.catalog_id, working_dir=tmp_path / "work")
    assert len(ml.list_assets("Image")) == len(list(ml.feature_values("Image", "Brightness"))) == IMAGES
    (dataset,) = ml.find_datasets()
    assert str(dataset.current_version) == "0.2.0"
    assert len(dataset.list_dataset_members()["Image"]) == IMAGES
    assert len(ml.find_executions(status="Uploaded")) == 3
    bag = dataset.download_dataset_bag(version="0.2.0")
    assert {record.Quality for record in bag.feature_values("Image", "Quality")} == {"Good", "Bad"}
