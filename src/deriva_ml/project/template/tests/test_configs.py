"""Everything that can be chosen composes."""

import pytest
from hydra import compose, initialize
from hydra_zen import store

from configs import load_all_configs
from deriva_ml.execution import get_all_multirun_configs

load_all_configs()
store.add_to_hydra_store(overwrite_ok=True)

CHOICES = [f"{group}={name}" for group, name in store["model_config"]]
CHOICES += [f"+experiment={name}" for _, name in store["experiment"]]


@pytest.mark.parametrize("choice", CHOICES)
def test_it_composes(choice):
    with initialize(version_base="1.3", config_path=None):
        config = compose("deriva_model", overrides=[choice])
    assert config.deriva_ml.hostname and config.model_config._target_


def test_sweeps_vary_something():
    for sweep in get_all_multirun_configs().values():
        assert any("," in override for override in sweep.overrides), sweep.name
