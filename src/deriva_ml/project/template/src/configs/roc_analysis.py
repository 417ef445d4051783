"""The notebook ``notebooks/roc_analysis.ipynb``."""

from dataclasses import dataclass

from deriva_ml.execution import BaseConfig, notebook_config


@dataclass
class RocAnalysisConfig(BaseConfig):
    """What the notebook can be told: ``deriva-ml-run-notebook notebooks/roc_analysis.ipynb show_per_class=false``."""

    show_per_class: bool = True


notebook_config(
    "roc_analysis",
    config_class=RocAnalysisConfig,
    defaults={"assets": "no_assets", "datasets": "no_datasets"},
    description="ROC curves and confusion matrix of predictions",
)
