"""Datasets to choose from: ``datasets=NAME``."""

from hydra_zen import store

from deriva_ml.dataset import DatasetSpecConfig
from deriva_ml.execution import with_description

# These three lines are written by src/scripts/load_digits.py.
ALL = DatasetSpecConfig(rid="0-0000", version="0.1.0")
TRAINING = DatasetSpecConfig(rid="0-0000", version="0.1.0")
TESTING = DatasetSpecConfig(rid="0-0000", version="0.1.0")

datasets_store = store(group="datasets")
datasets_store([TRAINING], name="default_dataset")
datasets_store(with_description([ALL], "All digits"), name="digits_all")
datasets_store(with_description([TRAINING], "Four of five digits, to train with"), name="digits_training")
datasets_store(with_description([TESTING], "One of five digits, to test with"), name="digits_testing")
datasets_store([], name="no_datasets")
