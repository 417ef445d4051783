"""Evaluation in place of training: ``model_config=evaluate``."""

from hydra_zen import builds, store

from models.evaluate import evaluate

model_store = store(group="model_config")
model_store(builds(evaluate, populate_full_signature=True, zen_partial=True), name="evaluate")
