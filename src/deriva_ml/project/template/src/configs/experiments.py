"""Named choices: ``+experiment=NAME``."""

from hydra_zen import make_config, store

from configs.base import DerivaModelConfig

experiment_store = store(group="experiment", package="_global_")
experiment_store(
    make_config(
        hydra_defaults=["_self_", {"override /model_config": "quick"}],
        description="Three epochs, for a first look",
        bases=(DerivaModelConfig,),
    ),
    name="quick",
)
experiment_store(
    make_config(
        hydra_defaults=[
            "_self_",
            {"override /model_config": "wide"},
            {"override /datasets": "digits_training"},
        ],
        description="Do four times as many units read better?",
        bases=(DerivaModelConfig,),
    ),
    name="wide",
)
experiment_store(
    make_config(
        hydra_defaults=[
            "_self_",
            {"override /model_config": "evaluate"},
            {"override /workflow": "evaluation"},
            {"override /datasets": "digits_testing"},
        ],
        description="Predictions of the test digits",
        bases=(DerivaModelConfig,),
    ),
    name="evaluate",
)
