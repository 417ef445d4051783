"""Train a classifier on the Training dataset."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image
from sklearn.neural_network import MLPClassifier
from tqdm import tqdm

from deriva_ml import DatasetSpec, DerivaML, ExecAssetType, ExecutionConfiguration, MLAsset
from deriva_ml.dataset import DatasetBag

matplotlib.use("Agg")
from matplotlib import pyplot as plt

EPOCHS = 40


def load(bag: DatasetBag) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Read RIDs, the ink of each pixel (0 to 1, shape (n, 64)) and labels from a bag."""
    labels = {value.Image: value.Digit_Class for value in bag.feature_values("Image", "Digit")}
    rows = bag.list_dataset_members()["Image"]
    images = [np.asarray(Image.open(bag.file("Image", row)), dtype=float) for row in rows]
    ink = 1 - np.stack(images).reshape(len(rows), -1) / 255
    return [row["RID"] for row in rows], ink, np.array([labels[row["RID"]] for row in rows])


def train(ml: DerivaML, dataset_rid: str, version: str) -> str:
    """Fit a small neural network, keep its metrics and learning curve; return the execution's RID."""
    workflow = ml.create_workflow(
        "Train digit classifier", "Training", "One hidden layer, trained epoch by epoch"
    )
    config = ExecutionConfiguration(
        workflow=workflow,
        datasets=[DatasetSpec(rid=dataset_rid, version=version)],
        description=f"128 hidden units, {EPOCHS} epochs",
    )
    with ml.create_execution(config) as exe:
        bag = exe.download_dataset_bag(config.datasets[0])
        _, pixels, labels = load(bag)
        held_out = np.random.default_rng(0).random(len(labels)) < 0.1
        model = MLPClassifier(
            hidden_layer_sizes=(128,), batch_size=64, learning_rate_init=0.003, random_state=0
        )
        history = []
        with exe.metrics_file().open("a") as metrics:
            for epoch in tqdm(range(EPOCHS), "Training"):
                model.partial_fit(pixels[~held_out], labels[~held_out], classes=np.unique(labels))
                accuracy = model.score(pixels[held_out], labels[held_out])
                history.append(
                    {"epoch": epoch, "loss": float(model.loss_), "validation_accuracy": float(accuracy)}
                )
                metrics.write(json.dumps(history[-1]) + "\n")

        path = exe.asset_file_path(
            MLAsset.execution_asset,
            "model.pkl",
            asset_types=ExecAssetType.model_file,
            description="Fitted classifier",
        )
        Path(path).write_bytes(pickle.dumps(model))

        figure, axis = plt.subplots()
        axis.plot([step["loss"] for step in history], label="training loss")
        axis.plot([step["validation_accuracy"] for step in history], label="validation accuracy")
        axis.set_xlabel("epoch")
        axis.legend()
        figure.savefig(
            exe.asset_file_path(
                MLAsset.execution_asset,
                "learning_curve.png",
                asset_types=[],
                description="Loss and accuracy per epoch",
            )
        )
        plt.close(figure)
    exe.commit_output_assets()
    return exe.execution_rid
