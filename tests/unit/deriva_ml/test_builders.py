"""What hydra-zen builds of the declarations of inputs."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra_zen import instantiate

from deriva_ml.configs.builders import AssetSpecConfig, DatasetSpecConfig, LocalFileConfig
from deriva_ml.specs import AssetSpec, DatasetSpec, LocalFile


@pytest.mark.parametrize(
    ("declared", "built"),
    [
        (AssetSpecConfig(rid="1-A", cache=True), AssetSpec(rid="1-A", cache=True)),
        (LocalFileConfig(path="/data/x"), LocalFile(path=Path("/data/x"))),
        (DatasetSpecConfig(rid="1-A"), DatasetSpec(rid="1-A")),
        (
            DatasetSpecConfig(rid="1-A", version="1.2.0", exclude_tables=["B"], timeout=[5, 60]),
            DatasetSpec(rid="1-A", version="1.2.0", exclude_tables={"B"}, timeout=(5, 60)),
        ),
    ],
)
def test_declarations_become_specifications(declared: object, built: object) -> None:
    assert instantiate(declared) == built
