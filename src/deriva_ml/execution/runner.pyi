from deriva_ml.runner.model import create_model_config as create_model_config
from deriva_ml.runner.model import reset_multirun_state as reset_multirun_state
from deriva_ml.runner.model import run_model as run_model
