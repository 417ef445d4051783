"""Declarations: what a project writes into its configurations, and what comes of it when it is composed."""

import pickle
import sys
from dataclasses import dataclass

import pytest
from hydra_zen import ZenStore, instantiate, launch

from deriva_ml import DatasetSpec, DatasetSpecConfig, DerivaMLConfig
from deriva_ml.configs import registry
from deriva_ml.configs.directories import register
from deriva_ml.configs.load import publish
from deriva_ml.execution import (
    BaseConfig,
    DerivaBaseConfig,
    DescribedList,
    base_defaults,
    get_all_multirun_configs,
    get_multirun_config,
    list_multirun_configs,
    load_configs,
    multirun_config,
    notebook_config,
    with_description,
)


@dataclass
class Roc(BaseConfig):
    per_class: bool = True


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """Options of the three groups of inputs."""
    monkeypatch.setenv("DERIVA_ML_HOME", str(tmp_path))
    register(DerivaMLConfig.compute_workdir)
    store = ZenStore("options")
    store(
        DerivaMLConfig,
        group="deriva_ml",
        name="default_deriva",
        hostname="data.example.org",
        catalog_id=7,
        zen_meta={"description": "The laboratory's catalog"},
    )
    store(
        with_description([DatasetSpecConfig(rid="1-ABC", version="1.0.0")], "Training"),
        group="datasets",
        name="default_dataset",
    )
    store([], group="assets", name="default_asset")
    store.add_to_hydra_store(overwrite_ok=True)
    publish()


def test_defaults_are_those_that_projects_rely_on():
    assert base_defaults == [
        "_self_",
        {"deriva_ml": "default_deriva"},
        {"datasets": "default_dataset"},
        {"assets": "default_asset"},
        {"workflow": "default_workflow"},
        {"model_config": "default_model"},
    ]
    assert DerivaBaseConfig().defaults[:4] == base_defaults[:4]
    made = BaseConfig()
    assert (made.dry_run, made.description, made.config_choices, made.script_config) == (False, "", {}, None)


def test_a_notebook_is_composed_from_groups_and_fields_of_its_own(stored, tmp_path):
    made = notebook_config("roc", Roc, {"assets": "default_asset"}, per_class=False, description="ROC curves")
    assert registry.get_notebook_config("roc") is made
    assert "roc" in registry.list_notebook_configs()
    job = launch(made, instantiate, overrides=["description=Again"], version_base="1.3", job_name="notebook")
    config = job.return_value
    assert (config.per_class, config.description, config.assets) == (False, "Again", [])
    assert config.datasets == [DatasetSpec(rid="1-ABC", version="1.0.0")]
    assert config.datasets.description == "Training"
    assert config.deriva_ml.catalog_id == 7
    assert config.deriva_ml.hydra_runtime_output_dir.parent == tmp_path / "data.example.org/7/hydra"


def test_sweeps_are_known_by_name():
    multirun_config("rates", ["model_config.learning_rate=0.1,0.01"])
    made = multirun_config("rates", ["model_config.learning_rate=0.1,0.2"], "Which rate?")
    assert get_multirun_config("rates") is made is get_all_multirun_configs()["rates"]
    assert "rates" in list_multirun_configs()
    assert get_multirun_config("none") is None
    get_all_multirun_configs().clear()
    assert get_multirun_config("rates") is made


def test_described_lists_are_lists():
    made = DescribedList([1, 2], "Numbers")
    again = pickle.loads(pickle.dumps(made))
    assert (again, again.description, DescribedList() == []) == ([1, 2], "Numbers", True)


def test_loading_a_package(tmp_path, monkeypatch):
    folder = tmp_path / "known_configs"
    (folder / "more").mkdir(parents=True)
    order = "import builtins\nbuiltins.loaded = [*getattr(builtins, 'loaded', []), __name__]\n"
    for name in ("__init__", "assets", "experiments", "workflow", "more/__init__", "more/deep"):
        (folder / f"{name}.py").write_text("" if name == "__init__" else order)
    monkeypatch.syspath_prepend(str(tmp_path))
    names = [f"known_configs.{name}" for name in ("assets", "experiments", "more", "more.deep", "workflow")]
    assert load_configs("known_configs") == names
    import builtins

    assert sorted(builtins.loaded) == names
    assert builtins.loaded[-1] == "known_configs.experiments"
    assert builtins.loaded.index("known_configs.more.deep") < builtins.loaded.index("known_configs.assets")
    del builtins.loaded
    assert load_configs("no_such_configs") == []
    (folder / "zoo.py").write_text("import no_such_library\n")
    for name in [name for name in sys.modules if name.startswith("known_configs")]:
        del sys.modules[name]
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        load_configs("known_configs")
