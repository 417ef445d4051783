"""Apply a trained model to a dataset that it has not seen."""

from __future__ import annotations

import csv
import pickle

from deriva_ml import DerivaML, MLAsset
from deriva_ml.execution import Execution
from models.inputs import given_or_newest, load


def evaluate(*, ml_instance: DerivaML, execution: Execution) -> None:
    """Predict every image of the chosen dataset, as values of a feature and as a table with all probabilities."""
    rids, ink, labels = load(execution)
    model = pickle.loads(given_or_newest(ml_instance, execution, "model.pkl").read_bytes())
    probabilities = model.predict_proba(ink)
    predicted = model.classes_[probabilities.argmax(axis=1)]
    confidence = probabilities.max(axis=1)

    prediction = ml_instance.feature_record_class("Image", "Predicted_Digit")
    execution.add_features(
        prediction(Image=rid, Digit_Class=str(digit), Confidence=float(sure))
        for rid, digit, sure in zip(rids, predicted, confidence, strict=True)
    )
    path = execution.asset_file_path(
        MLAsset.execution_asset, "predictions.csv", [], description="Predictions with all probabilities"
    )
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image", "truth", "predicted", *model.classes_])
        table.writerows(
            [rid, truth, digit, *row]
            for rid, truth, digit, row in zip(rids, labels, predicted, probabilities.round(6), strict=True)
        )
    print(f"Accuracy on {len(labels)} images: {(predicted == labels).mean():.3f}")
