"""Named sweeps: ``+multirun=NAME``."""

from deriva_ml.execution import multirun_config

multirun_config(
    "learning_rates",
    overrides=["model_config=quick", "model_config.learning_rate=0.001,0.01"],
    description="Which learning rate learns most in three epochs?",
)
multirun_config(
    "quick_or_wide",
    overrides=["+experiment=quick,wide"],
    description="Two experiments side by side",
)
