"""A classifier for digits with one hidden layer."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from deriva_ml import DerivaML, ExecAssetType, MLAsset
from deriva_ml.execution import Execution
from models.inputs import load

if TYPE_CHECKING:
    import numpy as np
    from sklearn.neural_network import MLPClassifier


def train(
    hidden_units: int = 64,
    epochs: int = 20,
    learning_rate: float = 0.003,
    seed: int = 0,
    *,
    ml_instance: DerivaML,
    execution: Execution,
) -> None:
    """Fit a classifier to the chosen dataset; keep it, and its metrics after each epoch."""
    _, ink, labels = load(execution)
    model = classifier(hidden_units, learning_rate, seed)
    with execution.metrics_file().open("a") as metrics:
        for step in fit(model, ink, labels, epochs, seed):
            metrics.write(json.dumps(step) + "\n")
    print(f"Validation accuracy after {epochs} epochs: {step['validation_accuracy']:.3f}")

    path = execution.asset_file_path(
        MLAsset.execution_asset,
        "model.pkl",
        ExecAssetType.model_file,
        description=f"{hidden_units} hidden units after {epochs} epochs",
    )
    path.write_bytes(pickle.dumps(model))


def classifier(hidden_units: int, learning_rate: float, seed: int) -> MLPClassifier:
    """A classifier that has learnt nothing yet."""
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier(
        hidden_layer_sizes=(hidden_units,), batch_size=64, learning_rate_init=learning_rate, random_state=seed
    )


def fit(
    model: MLPClassifier, ink: np.ndarray, labels: np.ndarray, epochs: int, seed: int
) -> Iterator[dict[str, Any]]:
    """Train epoch by epoch on nine of ten images; yield loss, and accuracy on the others, after each."""
    import numpy as np
    from threadpoolctl import threadpool_limits

    held_out = np.random.default_rng(seed).random(len(labels)) < 0.1
    # The matrices are so small that more threads only wait for one another.
    with threadpool_limits(1):
        for epoch in range(epochs):
            model.partial_fit(ink[~held_out], labels[~held_out], classes=np.unique(labels))
            accuracy = float(model.score(ink[held_out], labels[held_out]))
            yield {"epoch": epoch, "loss": float(model.loss_), "validation_accuracy": accuracy}
