"""``deriva-ml-run`` as users type it, in a project of their own."""

import os
import re
import shlex
import signal
import time
from dataclasses import replace

import pytest
from tests.projects import run_each, write_project

from deriva_ml import DerivaML
from deriva_ml.cli.main import main
from deriva_ml.ermrest import rows
from deriva_ml.schema.create import create_connected


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A project, and the catalog that it works with."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DERIVA_ML_ALLOW_DIRTY", "true")
        made = create_connected(folder / "lab", "lab", "main", domain_schema="lab")
        ml = DerivaML(folder / "lab", made.catalog_id, working_dir=folder / "setup")
        with ml.create_execution(workflow=ml.create_workflow("Setup", "Ingest")) as exe:
            dataset = exe.create_dataset(description="Everything").dataset_rid
    return write_project(folder / "project", folder / "lab", "main", dataset), ml


@pytest.fixture
def project(place):
    return place[0]


@pytest.fixture
def ml(place):
    return place[1]


def executions(ml):
    """Executions of the project, oldest first."""
    found = [item for item in ml.find_executions() if "digits" in (item.workflow.url or "")]
    return sorted(found, key=lambda item: ml.lookup_execution(item.execution_rid).execution_rid)


def lineage(ml, execution):
    """What is to be typed to see an execution."""
    return f"deriva-ml lineage {execution.execution_rid} --host {ml.host_name} --catalog main"


ODD = """
from hydra_zen import store

store(["1-XXXX", 5, {"rid": "1-XXXX", "day": 3}], group="datasets", name="odd")
store([7, {}], group="assets", name="odd")
"""

WRONG = {
    "digits_quick": "'digits_quick' is no override: overrides are written KEY=VALUE. Did you mean model_config=digits_quick?",
    "cifar10": "For example assets=cifar10 chooses an option of a group, +experiment=cifar10 an experiment.",
    "model_config=quik": "There is no option 'quik' in the group 'model_config'. Did you mean 'digits_quick'? There are: ",
    "model_confg=quick": "There is no group or field 'model_confg'. Did you mean 'model_config'? There are: ",
    "model_config.epoch=3": "'model_config' has no field 'epoch'. Did you mean 'epochs'? There are: epochs, fail_at, learning_rate, seconds.",
    "model_config.epochs=many": "model_config.epochs: Value 'many' of type 'str' could not be converted to Integer.",
    "model_config=digits_long model_config.epochs=many": "Write it like model_config.epochs=10, which is the default.",
    "'description=[1'": "'description=[1' cannot be read: ",
    "experiment=long": "write +experiment=long to add it.",
    "+experiment=lng": "There is no option 'lng' in the group 'experiment'. Did you mean 'long'?",
    "+multirun=rate": "There is no sweep 'rate'. Did you mean 'rates'? There are: bare, rates.",
    "--config-name deriva_modle": "There is no configuration 'deriva_modle'. Did you mean 'deriva_model'?",
    "--epochs 3": "Error: There is no option --epochs. Did you mean model_config.epochs=3?",
    "--datasets none": "Error: There is no option --datasets. Did you mean datasets=none?",
    "--description hello": "Error: There is no option --description. Did you mean description=hello?",
    "epochs=3": "There is no group or field 'epochs'. Did you mean model_config.epochs=3?",
    "--list-config": "There is no option --list-config. Did you mean --list-configs?",
    "--list-configs quik": "'quik' is no override",
    "--token secret": "--token is not used: a run takes the credentials that are stored for its host.",
    "resume=true": "add --multirun, or +multirun=NAME, with the overrides of that sweep.",
    "+multirun=bare resume=true": "There is nothing to resume: no unfinished sweep of model_config.epochs=1,2 in ",
    "datasets=gone assets=lost_weights": "Execution config validation failed:\n  dataset ",
    "--host ./nowhere": "Error: There is no folder /",
    "--host ''": "Error: The hostname is empty; give a folder",
    "-m model_config.epochs=1,2 --host ''": "Error: The sweep cannot begin: The hostname is empty",
    "'datasets=[all,{rid: 1-XXXX}]'": "datasets: {'rid': '1-XXXX'} is no name of an option. There are: all, default_dataset, gone, odd. To",
    "'+assets=[7]'": "give it a name in a file of configurations: store(['RID'], group='assets', name='NAME').",
    "-m 'datasets=[5]' model_config.epochs=1,2": "datasets: 5 is no name of an option.",
    "'model_config=[[1]]'": "model_config: [1] is no name of an option. There are: default_model, digits_long, digits_quick.",
    "datasets=odd assets=odd": "Execution config validation failed:\n  datasets[1] (given 5): give its RID, RID@VERSION, or a "
    "DatasetSpec.\n  datasets[2] (given {'rid': '1-XXXX', 'day': 3}): DatasetSpec cannot be made: there is no 'day'; it has rid, "
    "version, materialize, description, exclude_tables, timeout, fetch_concurrency, reachability_concurrency.\n"
    "  assets[0] (given [7]): give the RID of an asset, an AssetSpec, or a LocalFile.\n"
    "  assets[1] (given [{}]): AssetSpec cannot be made: rid is missing.\nMend the configuration",
    "=5": "'=5' is no override",
    "workflow=null": "workflow=null chooses no option. There are: default_workflow.",
    "~model_config": "No option of the group 'model_config' is chosen. Choose one: model_config=NAME. There are: def",
    "datasets=[]": "No option of the group 'datasets' is chosen. Choose one: datasets=NAME. There are: all, ",
    "assets=[8-ZZZZ]": "There is no option '8-ZZZZ' in the group 'assets'. There are: default_asset, lost_weights, odd. To choose a RID, give it",
    "datasets=8-ZZZZ@0.2.0": "store(['8-ZZZZ@0.2.0'], group='datasets', name='NAME').",
    "+model_config.epoch=3": "cannot be called: got an unexpected keyword argument 'epoch'. It is given ml_instance",
    "description='${nope}'": "Error: Interpolation key 'nope' not found",
    "--resolve": "Error: The --resolve flag can only be used in conjunction with --cfg",
    "model_config.learning_rate=0.1,0.2": "learning_rate=0.1,0.2 has several values, which only a sweep tries",
    "-m model_config.epochs=1,many": "Error: The sweep cannot begin: model_config.epochs: Value 'many' of type 'str'",
    "-m model_config=digits_quick,quik": "There is no option 'quik' in the group 'model_config'. Did you mean 'digits_quick'?",
    "-m +experiment=long,lnog model_config.epoch=1,2": "There is no option 'lnog' in the group 'experiment'. Did you",
    "description=null": "description: null leaves it without a value. Write it like description=Digits, which is",
    "script_config=mine": "script_config is 'mine', which cannot be called. No option of the group 'script_config' is",
    "ml_class=Lab": "ml_class is 'Lab', which is no class of catalogs. It is given where the configuration is declared",
    "-cd src/config": "There is no folder of configurations 'src/config' in ",
    "-cp conf": "There is no folder 'conf' in ",
    "-c json": "json cannot be imported: the module 'json' is in ",
    "--info nothing": "--info takes one of all, config, defaults, defaults-tree, plugins, searchpath, not 'nothing'.",
    "++multirun=rate": "There is no sweep 'rate'. Did you mean 'rates'?",
    "-m hydra/launcher=submitit_slurm": "is not installed: pip install hydra-submitit-launcher.",
    "-m hydra/launcher=jobllib": "There is no hydra/launcher=jobllib. Did you mean 'joblib'?",
    "-m resume=maybe": "'resume=maybe' is neither yes nor no",
    "--catalog 77": "77",
}


def test_what_cannot_be_run_says_what_to_type_instead(project, ml):
    (project.folder / "json").mkdir()
    odd = project.folder / "src/configs/odd.py"
    odd.write_text(ODD)
    before = len(executions(ml))
    for (line, expected), (status, out, err) in zip(
        WRONG.items(), run_each(project, list(WRONG)), strict=True
    ):
        assert (status, expected in err, "Traceback" in err + out) == (1, True, False), (
            line,
            status,
            out,
            err,
        )
        if line.startswith("datasets=gone"):
            assert err.count("rid_not_found") == 2
            assert "@9.9.9: version_not_found (there are 0.1.0)\n" in err
    odd.unlink()
    assert len(executions(ml)) == before


@pytest.mark.parametrize(
    "home, said",
    [
        (
            "{0}",
            "Error: The files of the run cannot be kept in {0}/lab",
        ),
        (
            "~nobody-of-this-name/work",
            "Error: Nobody's home directory is what ~nobody-of-this-name/work begins",
        ),
    ],
)
def test_a_home_that_cannot_be_used_is_named(project, tmp_path, home, said):
    (tmp_path / "home").write_text("")
    file = tmp_path / "home"
    done = replace(project, settings={"DERIVA_ML_HOME": home.format(file)}).run("dry_run=true")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(said.format(file)) and done.stderr.count("\n") == 1, done.stderr


def test_a_folder_that_cannot_be_made_is_named(project, tmp_path):
    (tmp_path / "file").write_text("")
    for words in (["dry_run=true"], sweep_words()):
        done = project.run(f"+deriva_ml.working_dir={tmp_path}/file/work", *words)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
        assert f"The files of the run cannot be kept in {tmp_path}/file/work/" in done.stderr
        assert (
            f": {tmp_path}/file is no folder that you can write to. Set deriva_ml.working_dir" in done.stderr
        )


def test_looking_runs_nothing(project, ml):
    lines = [
        "--list-configs",
        "+experiment=long --cfg",
        "+multirun=rates --cfg job -p model_config",
        "--info defaults",
        "--cfg job -p model_config",
        "--help",
        "dry_run=true -m -p model_config -cn deriva_model model_config.epochs=1,2",
    ]
    done = run_each(project, [*lines, "dry_run=true"])
    assert [status for status, _, _ in done] == [0] * len(done), done
    menu, config, swept, defaults, part, text, dry_sweep, dry = (out for _, out, _ in done)
    assert menu.startswith(
        "Available configurations\n\nTop-level configs:\n  - deriva_base\n  - deriva_model\n"
    )
    assert "model_config:\n  - default_model\n  - digits_long\n  - digits_quick\n" in menu
    assert "multirun:\n  - bare: model_config.epochs=1,2\n  - rates: Which rate?\n" in menu
    assert "description: Longer is better" in config
    assert "epochs: 10" in config
    assert swept.startswith(
        "# A sweep of 2 jobs; of job 0 this is:\n"
        "#   0: model_config=digits_quick model_config.learning_rate=0.1\n"
        "#   1: model_config=digits_quick model_config.learning_rate=0.2\n"
    )
    assert "learning_rate: 0.1\n" in swept
    assert "model_config/default_model" in defaults
    assert part.startswith("# @package model_config\n")
    assert "+multirun=lr_sweep" in text
    assert dry.startswith(
        "Dry run (execution 0000): 0 dataset(s) and 0 asset(s) were found; nothing was written"
    )
    assert dry_sweep.count("Dry run") == 2
    assert executions(ml) == []


def test_a_run_is_an_execution(project, ml):
    lines = ["+experiment=long model_config.learning_rate=0.5", "model_config.fail_at=3"]
    (status, out, err), (failing, _, trace) = run_each(project, lines)
    assert (status, failing) == (0, 1), err
    exe, failed = executions(ml)
    assert "Committed 6 asset(s) to catalog:\n  deriva-ml/Execution_Asset: 1\n" in out
    assert f"Execution {exe.execution_rid}: {lineage(ml, exe)}" in out
    assert "digits.py" in trace and "site-packages" not in trace and "launch.py" not in trace
    assert (
        trace.splitlines()[-1]
        == f"Execution {failed.execution_rid} is Failed. See it with: {lineage(ml, failed)}"
    )
    assert exe.status == "Uploaded"
    overrides = "+experiment=long, model_config.learning_rate=0.5"
    assert exe.description == f"Longer is better [overrides: {overrides}]"
    assert [item.description for item in exe.list_input_datasets()] == ["Everything"]
    url, _, path = exe.workflow.url.partition("/blob/")
    assert (url, path.partition("/")[2]) == ("https://github.com/lab/digits", "src/models/digits.py")
    experiment = ml.lookup_experiment(exe.execution_rid)
    assert experiment.config_choices["model_config"] == experiment.name == "digits_long"
    assert experiment.config_choices["datasets"] == "all"
    assert experiment.model_config["learning_rate"] == 0.5
    assert (failed.status, failed.status_detail) == (
        "Failed",
        "ValueError: the loss is not a number after 3 epochs",
    )


def test_a_run_that_fails_late_says_how_to_keep_what_it_made(project, ml, monkeypatch):
    done = project.run("model_config.learning_rate=-1")
    assert done.returncode == 1
    command = re.search(
        r"is Failed\. See it with: .*\nWhat it had made is kept on this machine\. To commit it all the same: (.*)\n",
        done.stderr,
    )[1]
    failed = executions(ml)[-1]
    assert command.startswith("deriva-ml upload --host ") and command.endswith(failed.execution_rid)
    monkeypatch.delenv("DERIVA_ML_HOME", raising=False)
    monkeypatch.setenv("HOME", str(project.home))
    assert main(shlex.split(command)[1:]) == 0
    assert "weights-3--1.0.json" in [asset.filename for asset in failed.list_assets("Output")]


def sweep_of(ml, summary):
    """Status and detail of the execution of a sweep, and its jobs: number and status, in order."""
    rid = summary.partition("Sweep ")[2].partition(",")[0]
    parent = ml.lookup_execution(rid)
    table = ml._session.ml_table("Execution_Execution")
    links = {row["Nested_Execution"]: row["Sequence"] for row in rows.read(ml._session.connection, table)}
    children = [(links[child.execution_rid], str(child.status)) for child in parent.list_execution_children()]
    return parent, children


def sweep_words(*words):
    return ["+multirun=bare", "model_config.epochs=1,2,3,4", "model_config.fail_at=2", *words]


def assert_one_failed(ml, status, err):
    assert status == 1, err
    assert "4 jobs: 3 done, 1 failed.\n  job 1 (" in err
    assert "ValueError: the loss is not a number after 2 epochs" in err
    parent, children = sweep_of(ml, err)
    assert (parent.status, parent.status_detail) == ("Uploaded", "4 jobs: 3 done, 1 failed")
    assert parent.description == "Digits"
    assert children == [(0, "Uploaded"), (1, "Failed"), (2, "Uploaded"), (3, "Uploaded")]
    return parent


def test_a_sweep_goes_on_without_its_failed_job(project, ml):
    # Hydra launches the last job after those that came before it.
    [(status, _, err)] = run_each(project, [" ".join(sweep_words("hydra.sweeper.max_batch_size=3"))])
    assert_one_failed(ml, status, err)


def test_a_sweep_in_several_processes_is_resumed(project, ml):
    words = sweep_words("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    done = project.run(*words)
    parent = assert_one_failed(ml, done.returncode, done.stderr)
    (project.home / "healed").touch()
    [(status, out, err)] = run_each(project, [" ".join(sweep_words("resume=true"))])
    assert status == 0, err
    assert [line.partition(", by")[0] for line in out.splitlines() if "was done before" in line] == [
        f"Job {number} was done before" for number in (0, 2, 3)
    ]
    same, children = sweep_of(ml, out)
    assert same.execution_rid == parent.execution_rid
    assert same.status_detail == "4 jobs: 4 done"
    assert [number for number, status in children if status == "Uploaded"] == [0, 1, 2, 3]
    assert len(children) == 5


@pytest.mark.soak
def test_a_sweep_whose_jobs_are_programs_of_their_own(project, ml):
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="needs hydra-submitit-launcher")
    (project.home / "healed").unlink(missing_ok=True)
    done = project.run(*sweep_words("hydra/launcher=submitit_local"))
    assert_one_failed(ml, done.returncode, done.stderr)


# Workers are killed by their launcher, and cannot say that they ended.
JOBLIB = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]


@pytest.mark.parametrize(
    ("number", "status", "ended", "words"),
    [
        (signal.SIGINT, 130, "KeyboardInterrupt", []),
        (signal.SIGTERM, -signal.SIGTERM, "the process that ran it ended before it did", JOBLIB),
        pytest.param(
            signal.SIGTERM, -signal.SIGTERM, "Terminated: ended by signal SIGTERM", [], marks=pytest.mark.soak
        ),
    ],
)
def test_a_sweep_that_is_stopped_says_so_and_is_recorded(project, ml, number, status, ended, words):
    process = project.start("-m", "model_config.seconds=60", *words)
    while not process.stdout.readline().startswith("training with"):
        assert process.poll() is None, process.stderr.read()
    process.send_signal(number)
    _, err = process.communicate()
    assert (process.returncode, "Traceback" in err) == (status, False), err
    assert f"model_config.seconds=60): {ended}\n" in err
    assert "Run it again with resume=true" in err
    parent, children = sweep_of(ml, err)
    assert (parent.status, parent.status_detail) == (
        "Failed",
        "1 job: 1 interrupted; the sweep was interrupted",
    )
    assert children == [(0, "Failed")]


def test_a_run_that_is_stopped_says_which_it_was(project, ml):
    process = project.start("model_config.seconds=60")
    while not process.stdout.readline().startswith("training with"):
        assert process.poll() is None, process.stderr.read()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130, err
    rid = re.search(r"interrupted\nExecution (\S+) is Failed. See it with: deriva-ml lineage", err)[1]
    assert ml.lookup_execution(rid).status == "Failed"


BROKEN = {
    "import nowhere_at_all": "ModuleNotFoundError: No module named 'nowhere_at_all'",
    "def (": "SyntaxError: invalid syntax",
    "1 / 0": "ZeroDivisionError: division by zero",
}


def test_a_broken_module_of_configurations_is_named(project):
    # Under a name of its own, as the driver has imported the package ``configs`` already.
    places = [project.folder / f"broken{number}" for number in range(len(BROKEN))]
    for place, text in zip(places, BROKEN, strict=True):
        place.mkdir()
        (place / "bad.py").write_text(f"x = 1\n{text}\n")
    lines = [f"-c {place.name}" for place in places]
    for place, line, why, (status, _, err) in zip(
        places, lines, BROKEN.values(), run_each(project, lines), strict=True
    ):
        file = place / "bad.py"
        assert (status, err) == (
            1,
            f"Error: The configurations in {line[3:]} cannot be loaded: {file}, line 2: {why}\n",
        )


@pytest.mark.soak
def test_a_sweep_that_is_killed_is_completed_by_the_next(project, ml):
    (project.home / "healed").touch()
    rates = ",".join(f"0.{number:02}" for number in range(1, 25))
    words = ["-m", f"model_config.learning_rate={rates}", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    before = len(executions(ml))
    done = project.run(*words)
    assert done.returncode == 0, done.stderr
    assert "locked" not in done.stdout + done.stderr
    assert len(executions(ml)) == before + 25
    _, children = sweep_of(ml, done.stdout)
    assert children == [(number, "Uploaded") for number in range(24)]

    words[1] += " model_config.seconds=0.2"
    words = [word for text in words for word in text.split(" ")]
    process = project.start(*words, start_new_session=True)
    while len(executions(ml)) < before + 25 + 10:
        time.sleep(0.5)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    again = project.run(*words, "resume=true")
    assert again.returncode == 0, again.stderr
    parent, children = sweep_of(ml, again.stdout)
    assert (parent.status, parent.status_detail) == ("Uploaded", "24 jobs: 24 done")
    assert [number for number, status in children if status == "Uploaded"] == list(range(24))
    assert {status for _, status in children} <= {"Uploaded", "Failed", "Aborted"}
