"""A run is composed once, and of the same as Hydra composes it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import hydra
import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import OmegaConf

from deriva_ml.runner.once import composed_once

Composed = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def compositions(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Notes every composition; the store has a configuration, and one that is a sweep by itself."""
    store, former = ConfigStore.instance(), dict(ConfigStore.instance().repo)
    store.store("once", {"rate": 1, "hydra": {"output_subdir": None}})
    store.store("swept", {"rate": 1, "hydra": {"mode": "MULTIRUN", "output_subdir": None}})
    found: list[str] = []
    load = ConfigLoaderImpl.load_configuration

    def noting(self: ConfigLoaderImpl, *arguments: Any, **options: Any) -> Any:
        found.append(str(options.get("run_mode")))
        return load(self, *arguments, **options)

    monkeypatch.setattr(ConfigLoaderImpl, "load_configuration", noting)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    yield found
    store.repo = former


@pytest.fixture
def composed(tmp_path, monkeypatch) -> Composed:
    def call(name: str, *words: str, inside: Any) -> list[dict[str, Any]]:
        jobs: list[dict[str, Any]] = []
        folders = [f"hydra.run.dir={tmp_path}/run", f"hydra.sweep.dir={tmp_path}/sweep"]
        plain = [f"hydra/{kind}=none" for kind in ("job_logging", "hydra_logging")]
        monkeypatch.setattr(sys, "argv", ["program", *words, *folders, *plain])

        def job(config: Any) -> None:
            jobs.append({"rate": config.rate, "hydra": OmegaConf.to_container(HydraConfig.get())})

        job.__module__ = "deriva_ml.runner.model"  # a place that Hydra can look for files in
        with inside:
            hydra.main(config_name=name, version_base="1.3", config_path=None)(job)()
        return jobs

    return call


def test_a_run_is_composed_once(compositions: list[str], composed: Composed) -> None:
    usual = composed("once", "rate=2", inside=nullcontext())
    assert len(compositions) == 2
    assert composed("once", "rate=2", inside=composed_once(is_sweep=False)) == usual
    assert len(compositions) == 3


def test_sweeps_stay_sweeps(compositions: list[str], composed: Composed) -> None:
    jobs = composed("once", "--multirun", "rate=2,3", inside=composed_once(is_sweep=True))
    assert [(job["rate"], job["hydra"]["mode"].name) for job in jobs] == [(2, "MULTIRUN"), (3, "MULTIRUN")]
    assert compositions.count("RunMode.MULTIRUN") == 1
    usual = composed("swept", "rate=4,5", inside=nullcontext())
    assert [job["rate"] for job in usual] == [4, 5]
    assert composed("swept", "rate=4,5", inside=composed_once(is_sweep=False)) == usual


def test_what_cannot_be_composed_is_said_as_ever(compositions: list[str], composed: Composed) -> None:
    said = []
    for inside in (nullcontext(), composed_once(is_sweep=False)):
        with pytest.raises(HydraException) as raised:
            composed("once", "rate=1,2", inside=inside)
        said.append(str(raised.value))
    assert said[0] == said[1]
