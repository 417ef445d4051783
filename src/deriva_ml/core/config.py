"""The connection's configuration under its known import path; from here on Hydra uses the folders of the catalog."""

from deriva_ml.configs.directories import register
from deriva_ml.connection import DerivaMLConfig

__all__ = ["DerivaMLConfig"]

register(DerivaMLConfig.compute_workdir)
