"""The main configuration: what ``deriva-ml-run`` runs when nothing is chosen."""

from hydra_zen import store

from deriva_ml.execution import create_model_config

DerivaModelConfig = create_model_config(description="Digits")
store(DerivaModelConfig, name="deriva_model")
