"""A small project as users of the command line have it: configurations, models, a repository with an origin."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.interpreter import python

FILES = {
    "src/configs/__init__.py": """
        from deriva_ml.execution import load_configs

        load_all_configs = lambda: load_configs("configs")
        """,
    "src/configs/deriva.py": """
        from hydra_zen import store
        from deriva_ml import DerivaMLConfig

        deriva_store = store(group="deriva_ml")
        deriva_store(
            DerivaMLConfig,
            name="default_deriva",
            hostname=HOST,
            catalog_id=CATALOG,
            use_minid=False,
            zen_meta={"description": "The laboratory's catalog"},
        )
        """,
    "src/configs/datasets.py": """
        from hydra_zen import store
        from deriva_ml.dataset import DatasetSpecConfig
        from deriva_ml.execution import with_description

        datasets_store = store(group="datasets")
        datasets_store([], name="default_dataset")
        datasets_store(with_description([DatasetSpecConfig(rid=DATASET, version="0.1.0")], "Everything"), name="all")
        datasets_store([DatasetSpecConfig(rid=DATASET, version="9.9.9"), DatasetSpecConfig(rid="9-ZZZZ")], name="gone")
        """,
    "src/configs/assets.py": """
        from hydra_zen import store

        asset_store = store(group="assets")
        asset_store([], name="default_asset")
        asset_store(["8-ZZZZ"], name="lost_weights")
        """,
    "src/configs/workflow.py": """
        from hydra_zen import builds, store
        from deriva_ml.execution import Workflow

        workflow_store = store(group="workflow")
        workflow_store(
            builds(Workflow, name="Digits", workflow_type=["Training"], description="Trains", populate_full_signature=True),
            name="default_workflow",
        )
        """,
    "src/configs/digits.py": """
        from hydra_zen import builds, store
        from models.digits import train

        model_store = store(group="model_config")
        Digits = builds(train, populate_full_signature=True, zen_partial=True)
        model_store(Digits, name="default_model")
        model_store(Digits, name="digits_quick", epochs=1)
        model_store(Digits, name="digits_long", epochs=10)
        """,
    "src/configs/base.py": """
        from hydra_zen import store
        from deriva_ml import DerivaML
        from deriva_ml.execution import create_model_config

        DerivaModelConfig = create_model_config(DerivaML, description="Digits")
        store(DerivaModelConfig, name="deriva_model")
        """,
    "src/configs/experiments.py": """
        from hydra_zen import make_config, store
        from configs.base import DerivaModelConfig

        experiment_store = store(group="experiment", package="_global_")
        experiment_store(
            make_config(
                hydra_defaults=["_self_", {"override /model_config": "digits_long"}, {"override /datasets": "all"}],
                description="Longer is better",
                bases=(DerivaModelConfig,),
            ),
            name="long",
        )
        """,
    "src/configs/multiruns.py": """
        from deriva_ml.execution import multirun_config

        multirun_config(
            "rates",
            overrides=["model_config=digits_quick", "model_config.learning_rate=0.1,0.2"],
            description="# Which rate?\\n\\nIt's a sweep of 2 rates.",
        )
        multirun_config("bare", overrides=["model_config.epochs=1,2"])
        """,
    "src/models/__init__.py": "",
    "src/models/digits.py": """
        import json
        import multiprocessing
        import os
        import time
        from pathlib import Path


        def train(learning_rate: float = 0.1, epochs: int = 3, fail_at: int = -1, seconds: float = 0.0, *,
                  ml_instance, execution=None):
            print(f"training with rate {learning_rate} for {epochs} epochs")
            time.sleep(seconds)
            # A mark beside the project heals what fails.
            if epochs == fail_at and not Path(os.environ.get("HEALED", "/nonexistent")).exists():
                raise ValueError(f"the loss is not a number after {epochs} epochs")
            if multiprocessing.parent_process() is not None:
                # A launcher's worker: what loads data for a model is begun in the same way.
                loader = multiprocessing.Process(target=abs, args=(epochs,))
                loader.start()
                loader.join()
                assert loader.exitcode == 0
            path = execution.asset_file_path("Execution_Asset", f"weights-{epochs}-{learning_rate}.json")
            path.write_text(json.dumps({"rate": learning_rate, "epochs": epochs}))
            if learning_rate < 0:
                raise ValueError("the weights are not numbers")
        """,
}


@dataclass
class Project:
    """A project in a folder, and what it is run with."""

    folder: Path
    home: Path
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """As of a user, with all local state below `home`."""
        own = {
            name: value for name, value in os.environ.items() if not name.startswith(("DERIVA_ML", "HYDRA"))
        }
        source = Path(__file__).parents[1] / "src"
        return {
            **own,
            "HOME": str(self.home),
            "HEALED": str(self.home / "healed"),
            "PYTHONPATH": str(source),
            "DERIVA_ML_PATCH_BYTES": "0",
            # What workers print is read while they run.
            "PYTHONUNBUFFERED": "1",
            **self.settings,
        }

    def start(self, *words: str, by: str = sys.executable, **options: object) -> subprocess.Popen[str]:
        """Start ``deriva-ml-run`` in it, by default in an interpreter of its own, which can be killed with its group."""
        command = [by, "-m", "deriva_ml.run_model", *words]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,  # type: ignore[call-overload]
        )

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run ``deriva-ml-run`` in it to the end."""
        process = self.start(*words, by=python())
        out, err = process.communicate(timeout=600)
        return subprocess.CompletedProcess(words, process.returncode, out, err)


def write_project(folder: Path, host: Path, catalog: str, dataset: str) -> Project:
    """Write the project, commit it, and give it an origin.

    Parameters
    ----------
    folder : Path
    host : Path
        Deployment.
    catalog : str
    dataset : str
        RID of a dataset.
    """
    names = {"HOST": repr(str(host)), "CATALOG": repr(catalog), "DATASET": repr(dataset)}
    for name, text in FILES.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = text.strip("\n").split("\n")
        margin = len(lines[0]) - len(lines[0].lstrip())
        content = "\n".join(line[margin:] for line in lines).strip() + "\n"
        for word, value in names.items():
            content = content.replace(f"={word},", f"={value},")
        file.write_text(content)
    (folder / ".gitignore").write_text("__pycache__/\n")
    git = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.org"]
    for words in (
        ["init", "-q", "-b", "main"],
        ["remote", "add", "origin", "https://github.com/lab/digits.git"],
        ["add", "-A"],
        ["commit", "-q", "-m", "Begin"],
    ):
        subprocess.run([*git, *words], cwd=folder, check=True)
    home = folder.parent / "home"
    home.mkdir(exist_ok=True)
    return Project(folder, home)


def run_each(project: Project, lines: list[str]) -> list[tuple[int, str, str]]:
    """Run several command lines of ``deriva-ml-run``.

    Returns
    -------
    list of (int, str, str)
        Exit status, standard output, standard error.
    """
    ended = [project.run(*shlex.split(line)) for line in lines]
    return [(done.returncode, done.stdout, done.stderr) for done in ended]
