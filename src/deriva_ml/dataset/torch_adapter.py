"""Samples of a bag as a PyTorch dataset; the only place that knows PyTorch."""

from __future__ import annotations

from typing import Any

from deriva_ml.dataset.samples import Samples
from deriva_ml.extras import needed


def as_torch_dataset(samples: Samples) -> Any:
    """Make a map-style dataset of samples, for a ``DataLoader`` with any number of workers.

    Raises
    ------
    DerivaMLDependencyError
        If PyTorch is not installed.
    """
    with needed("as_torch_dataset needs", "torch"):
        from torch.utils.data import Dataset
    made: Any = type("TorchSamples", (_Items, Dataset), {})
    return made(samples)


class _Items:
    """What a dataset of PyTorch does; the class itself can only be made once PyTorch is there."""

    def __init__(self, samples: Samples) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Any:
        return self.samples[index]

    def __reduce__(self) -> Any:
        return as_torch_dataset, (self.samples,)
