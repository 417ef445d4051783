"""The vocabulary terms and the rows that every catalog starts with."""

from __future__ import annotations

from typing import Any

TERMS: dict[str, dict[str, str]] = {
    "Asset_Type": {
        "Execution_Config": "Configuration file of a run.",
        "Runtime_Env": "Snapshot of the environment of a run.",
        "Hydra_Config": "Hydra configuration of a run, as YAML.",
        "Deriva_Config": "Execution configuration of a run, as JSON.",
        "Metrics_File": "Log of metrics, one JSON object per line.",
        "Execution_Metadata": "File that describes a run.",
        "Execution_Asset": "File that a run wrote.",
        "File": "File that is known by its address only.",
        "Input_File": "File that an execution read.",
        "Output_File": "File that an execution wrote.",
        "Model_File": "A trained model.",
        "Notebook_Output": "An executed notebook.",
    },
    "Asset_Role": {
        "Input": "The execution read the file.",
        "Output": "The execution wrote the file.",
    },
    "Dataset_Type": {
        "Complete": "All data of a collection.",
        "File": "A dataset of files.",
        "Directory": "A dataset that mirrors a source folder.",
        "Training": "Data to train with.",
        "Testing": "Data to test with.",
        "Validation": "Data to choose between models with.",
        "Split": "A dataset that holds the partitions of another.",
        "Labeled": "Data with ground truth.",
        "Unlabeled": "Data without ground truth.",
    },
    "Workflow_Type": {
        "Training": "Trains a model.",
        "Testing": "Tests a model.",
        "Prediction": "Applies a model.",
        "Feature_Creation": "Makes feature values.",
        "Visualization": "Draws data or results.",
        "Analysis": "Analyses data or results.",
        "Ingest": "Brings data into the catalog.",
        "Data_Cleaning": "Corrects or filters data.",
        "Dataset_Management": "Makes and changes datasets.",
        "Analysis Notebook": "A notebook that analyses data or results.",
        "Dataset_Split": "Splits a dataset into partitions.",
    },
    "Execution_Status": {
        "Created": "Recorded, not started.",
        "Running": "At work.",
        "Stopped": "Ended; outputs are not stored yet.",
        "Failed": "Ended with an error.",
        "Pending_Upload": "Outputs are being stored.",
        "Uploaded": "All outputs are stored.",
        "Aborted": "Given up.",
    },
    "Feature_Name": {},
}

UNKNOWN_WORKFLOW_URL = "tag:deriva-ml,unknown-provenance:workflow"
UNKNOWN_FILE_URL = "tag:deriva-ml,unknown-provenance:file"
UNKNOWN_EXECUTION = "deriva-ml unknown-provenance sentinel execution"
"""Description by which the execution is found that stands for an unknown one."""

SENTINELS = (
    ("Workflow", "URL", UNKNOWN_WORKFLOW_URL),
    ("File", "URL", UNKNOWN_FILE_URL),
    ("Execution", "Description", UNKNOWN_EXECUTION),
)
"""Table, column and value by which the rows are found that stand for what is unknown."""


def unknown_workflow() -> dict[str, Any]:
    """The row of Workflow that stands for an unknown one."""
    return {
        "Name": "Unknown Provenance",
        "URL": UNKNOWN_WORKFLOW_URL,
        "Checksum": "0" * 40,
        "Description": "Stands for code that was not recorded.",
    }


def unknown_file() -> dict[str, Any]:
    """The row of File that stands for an unknown one."""
    return {
        "URL": UNKNOWN_FILE_URL,
        "MD5": "0" * 32,
        "Length": 0,
        "Description": "Stands for a file that was not recorded.",
    }


def unknown_execution(workflow_rid: str) -> dict[str, Any]:
    """The row of Execution that stands for an unknown one."""
    return {
        "Description": UNKNOWN_EXECUTION,
        "Workflow": workflow_rid,
        "Status": "Aborted",
        "Status_Detail": "Stands for a run that was not recorded; it never ran.",
    }
