"""What kind of work a run is: ``workflow=NAME``. Which code ran is found out by itself."""

from hydra_zen import builds, store

from deriva_ml.execution import Workflow

workflow_store = store(group="workflow")
workflow_store(
    builds(
        Workflow,
        name="Train digit classifier",
        workflow_type="Training",
        description="One hidden layer, trained epoch by epoch",
        populate_full_signature=True,
    ),
    name="default_workflow",
)
workflow_store(
    builds(
        Workflow,
        name="Evaluate digit classifier",
        workflow_type="Prediction",
        description="Predictions with their confidence",
        populate_full_signature=True,
    ),
    name="evaluation",
)
