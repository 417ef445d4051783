from deriva_ml.runner.model import DerivaMLModel as DerivaMLModel
