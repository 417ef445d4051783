"""The classifier and its parameters: ``model_config=NAME``, ``model_config.epochs=5``."""

from hydra_zen import builds, store

from models.digits_mlp import train

DigitsConfig = builds(train, populate_full_signature=True, zen_partial=True)

model_store = store(group="model_config")
model_store(DigitsConfig, name="default_model")
model_store(DigitsConfig, name="quick", epochs=3, zen_meta={"description": "For a first look"})
model_store(DigitsConfig, name="wide", hidden_units=256, zen_meta={"description": "Four times as many units"})
