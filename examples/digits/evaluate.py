"""Apply the trained model to the Testing dataset."""

from __future__ import annotations

import csv
import pickle
from pathlib import Path

from sklearn.metrics import ConfusionMatrixDisplay, accuracy_score
from train import load, plt

from deriva_ml import DatasetSpec, DerivaML, ExecutionConfiguration, MLAsset


def evaluate(ml: DerivaML, dataset_rid: str, version: str, model_rid: str) -> tuple[float, str]:
    """Predict every test image; return the accuracy and the RID of ``predictions.csv``."""
    workflow = ml.create_workflow("Evaluate digit classifier", "Prediction", "Predictions with confidence")
    config = ExecutionConfiguration(
        workflow=workflow,
        datasets=[DatasetSpec(rid=dataset_rid, version=version)],
        assets=[model_rid],
        description="Evaluation on the test set",
    )
    prediction = ml.feature_record_class("Image", "Predicted_Digit")
    with ml.create_execution(config) as exe:
        rids, pixels, labels = load(exe.download_dataset_bag(config.datasets[0]))
        model = pickle.loads(Path(exe.asset_paths[MLAsset.execution_asset][0]).read_bytes())
        predicted = model.predict(pixels)
        confidence = model.predict_proba(pixels).max(axis=1)

        exe.add_features(
            [
                prediction(Image=rid, Digit_Class=str(digit), Confidence=float(sure))
                for rid, digit, sure in zip(rids, predicted, confidence, strict=True)
            ]
        )
        table = exe.asset_file_path(
            MLAsset.execution_asset,
            "predictions.csv",
            asset_types=[],
            description="Predictions on the test set",
        )
        with table.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["image", "truth", "predicted", "confidence"])
            writer.writerows(zip(rids, labels, predicted, confidence, strict=True))

        display = ConfusionMatrixDisplay.from_predictions(labels, predicted)
        display.figure_.savefig(
            exe.asset_file_path(
                MLAsset.execution_asset,
                "confusion_matrix.png",
                asset_types=[],
                description="Confusion matrix",
            )
        )
        plt.close(display.figure_)
    exe.commit_output_assets()
    made = {asset.filename: asset.asset_rid for asset in exe.list_assets(asset_role="Output")}
    return accuracy_score(labels, predicted), made["predictions.csv"]
