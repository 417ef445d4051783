import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from deriva_ml.ermrest import rows
from deriva_ml.errors import DerivaMLException, DerivaMLInvalidTerm, DerivaMLNotFoundError
from deriva_ml.schema.create import create_connected
from deriva_ml.session import Session
from deriva_ml.specs import ExecutionConfiguration, WorkflowSpec
from deriva_ml.workflow import capture, environment, git, workflow
from deriva_ml.workflow.source import find_source
from deriva_ml.workflow.workflow import Workflow


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    monkeypatch.setenv("DERIVA_ML_ALLOW_DIRTY", "true")


@pytest.fixture
def unique():
    return lambda: f"https://example.org/{uuid.uuid4()}"


# Which code runs


def test_the_callers_file_is_found():
    assert find_source().path == Path(__file__).resolve()
    made = Workflow(name="w", workflow_type="Training")
    assert made.checksum == git.blob_hash(Path(__file__).read_bytes())
    assert made.url.endswith("test_workflow.py")
    assert (made.workflow_type, made.is_notebook) == (["Training"], False)


def test_what_is_given_is_not_captured():
    made = Workflow(name="w", workflow_type=["Training"], url="https://x/y", checksum="c")
    assert (made.url, made.checksum, made.git_root) == ("https://x/y", "c", None)
    assert Workflow(rid="1-ABC").workflow_rid == "1-ABC"
    made.description = "changed"
    assert (made.description, made.url) == ("changed", "https://x/y")
    with pytest.raises(ValueError, match="colour"):
        Workflow(name="w", url="u", colour="red")


def test_text_without_a_file_is_skipped():
    space = {}
    exec(
        compile(
            "from deriva_ml.workflow.source import find_source; found = find_source()", "<block>", "exec"
        ),
        space,
    )
    assert space["found"].path == Path(__file__).resolve()


def test_an_interactive_session_is_known_as_one(monkeypatch):
    program = "from deriva_ml.workflow.capture import capture; print(capture())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "url=None, checksum='1'" in done.stdout


@pytest.mark.parametrize("strict", [False, True])
def test_code_in_no_file_is_told(monkeypatch, strict):
    monkeypatch.delenv("DERIVA_ML_ALLOW_DIRTY")
    monkeypatch.setenv("DERIVA_ML_STRICT", str(strict).lower())
    program = "from deriva_ml.workflow.capture import capture; capture()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ("known by its name only" in done.stderr, done.returncode) == (True, int(strict))


def test_an_image_is_known_by_its_digest(monkeypatch):
    monkeypatch.setenv("DERIVA_MCP_IN_DOCKER", "true")
    monkeypatch.setenv("DERIVA_MCP_IMAGE_NAME", "ghcr.io/lab/eyes")
    monkeypatch.setenv("DERIVA_MCP_IMAGE_DIGEST", "sha256:0f")
    monkeypatch.setenv("DERIVA_MCP_VERSION", "1.2")
    assert capture.capture() == capture.Code("ghcr.io/lab/eyes@sha256:0f", "sha256:0f", "1.2")
    monkeypatch.delenv("DERIVA_MCP_IMAGE_DIGEST")
    monkeypatch.setenv("DERIVA_MCP_GIT_COMMIT", "abc")
    assert capture.capture().url.endswith("/commit/abc")
    assert capture.capture().checksum == "abc"


def test_a_runner_may_say_what_runs(monkeypatch):
    monkeypatch.setenv("DERIVA_ML_WORKFLOW_URL", "https://x/notebook")
    monkeypatch.setenv("DERIVA_ML_WORKFLOW_CHECKSUM", "abc")
    code = capture.capture()
    assert (code.url, code.checksum, code.is_notebook) == ("https://x/notebook", "abc", True)


def test_a_configuration_keeps_its_workflow():
    config = ExecutionConfiguration(workflow=Workflow(name="w", workflow_type="Training", url="https://x"))
    again = ExecutionConfiguration.model_validate_json(config.model_dump_json())
    assert (again.workflow.url, again.workflow.workflow_type) == ("https://x", ["Training"])


# In the catalog


def test_a_workflow_is_registered_once(ml_session, unique):
    url = unique()
    first = workflow.add(
        ml_session, Workflow(name="a", workflow_type=["Training", "Testing"], url=url, checksum="c" + url)
    )
    again = workflow.add(
        ml_session, Workflow(name="b", workflow_type="Analysis", url=unique(), checksum="c" + url)
    )
    assert first == again
    found = workflow.lookup(ml_session, first)
    assert (found.name, found.url, sorted(found.workflow_type)) == ("a", url, ["Testing", "Training"])
    for name in (url, "c" + url):
        assert workflow.lookup_by_url(ml_session, name).workflow_rid == first
    assert first in {each.workflow_rid for each in workflow.find(ml_session)}
    assert workflow.find(ml_session, sort=True)[0].workflow_rid == first


def test_a_workflow_is_registered_in_each_catalog_that_it_runs_in(ml_session, unique, tmp_path):
    there = create_connected(tmp_path / "other", "other")
    other = Session.open(there.host, there.catalog_id, working_dir=tmp_path / "work")
    one = Workflow(name="one", workflow_type="Training", url=unique())
    here = workflow.add(ml_session, one)
    # RIDs are counted in every catalog: the next one there must not be the same by chance.
    for number in range(3):
        workflow.add(other, Workflow(name=f"o{number}", workflow_type="Training", url=unique()))
    assert workflow.find_rid(other, one) is None
    elsewhere = workflow.add(other, one)
    assert workflow.lookup(other, elsewhere).url == one.url
    assert (workflow.add(ml_session, one), one.workflow_rid) == (here, here)
    assert workflow.find_rid(other, one) == elsewhere == workflow.add(other, one)

    live = workflow.lookup(ml_session, here)
    copy = workflow.known_as(other, live, workflow.add(other, live))
    assert (copy.workflow_rid, copy.name, live.workflow_rid) == (elsewhere, "one", here)
    assert workflow.add(other, copy) == elsewhere
    with pytest.raises(DerivaMLException, match="not bound to a catalog"):
        copy.add_workflow_type("Training")
    assert workflow.known_as(ml_session, live, here) is live
    live.description = "only here"
    assert workflow.lookup(other, elsewhere).description is None

    read = WorkflowSpec.model_validate_json(one.model_dump_json())
    assert workflow.find_rid(other, read) == elsewhere
    assert workflow.add(other, read.model_copy()) == elsewhere
    assert workflow.add(ml_session, read) == here
    fresh = one.model_copy(update={"workflow_rid": None, "url": unique(), "name": "two"})
    assert workflow.add(ml_session, fresh) == fresh.workflow_rid != here
    old = {"Name": unique(), "URL": None, "Checksum": None}
    row = rows.insert(ml_session.connection, ml_session.ml_table("Workflow"), [old])[0]
    nameless = workflow.lookup(ml_session, row["RID"])
    assert (
        workflow.add(other, nameless) == workflow.add(other, nameless) == workflow.find_rid(other, nameless)
    )
    with pytest.raises(DerivaMLNotFoundError, match="There is no workflow '9-ZZZZ'"):
        workflow.add(other, Workflow(rid="9-ZZZZ"))


def test_a_second_name_of_the_same_code_is_told(ml_session, unique, caplog):
    checksum = unique()
    first, again, other = (Workflow(name=name, workflow_type="Training", checksum=checksum) for name in "aab")
    rid = workflow.add(ml_session, first)
    assert workflow.add(ml_session, again) == rid
    assert not caplog.records
    assert workflow.add(ml_session, other) == rid
    assert f"The code of workflow 'b' is registered as 'a' ({rid}) already" in caplog.text


def test_sessions_without_a_file_are_told_apart_by_name(ml_session, unique, caplog):
    names = [unique(), unique()]
    made = [Workflow(name=name, workflow_type="Training", checksum=capture.REPL_CHECKSUM) for name in names]
    rids = [workflow.add(ml_session, each) for each in made]
    assert [workflow.lookup(ml_session, rid).name for rid in rids] == names
    again = Workflow(name=names[0], workflow_type="Training", checksum=capture.REPL_CHECKSUM)
    assert workflow.add(ml_session, again) == rids[0]
    assert not caplog.records


def test_two_jobs_registering_at_once_agree(ml_session, unique):
    """Both look before either inserts: the older row stays."""
    made = Workflow(name="a", workflow_type="Training", url=unique(), checksum=unique())
    rids = [workflow._insert(ml_session, made, ["Training"]) for _ in range(2)]
    assert rids[0] == rids[1]
    assert workflow.lookup_by_url(ml_session, made.url).workflow_rid == rids[0]
    assert len(workflow._find_rows(ml_session, made.url)) == 1


def test_unknown_types_and_workflows(ml_session):
    with pytest.raises(DerivaMLInvalidTerm, match="Nonsense"):
        workflow.create(ml_session, "w", "Nonsense")
    with pytest.raises(DerivaMLException, match="1-ZZZZ"):
        workflow.lookup(ml_session, "1-ZZZZ")
    with pytest.raises(DerivaMLException, match="nowhere"):
        workflow.lookup_by_url(ml_session, "nowhere")


def test_a_live_workflow_writes_what_is_assigned(ml_session, unique):
    rid = workflow.add(ml_session, Workflow(name="a", workflow_type="Training", url=unique()))
    live = workflow.lookup(ml_session, rid)
    live.description = "new"
    live.workflow_type = ["Analysis", "Testing"]
    live.add_workflow_type("Prediction")
    live.remove_workflow_type("Testing")
    for found in (live, workflow.lookup(ml_session, rid)):
        assert found.description == "new"
        assert sorted(found.workflow_types) == ["Analysis", "Prediction"]
    with pytest.raises(DerivaMLInvalidTerm):
        live.add_workflow_type("Nonsense")
    plain = Workflow(name="a", workflow_type="Training", url=unique())
    with pytest.raises(DerivaMLException, match="not bound"):
        plain.add_workflow_type("Testing")
    past = workflow.lookup(ml_session.at(ml_session.connection.snaptime()), rid)
    with pytest.raises(DerivaMLException, match="snapshot"):
        past.description = "never"


# Environment


def test_secrets_stay_at_home(monkeypatch):
    given = {
        "PATH": "/bin",
        "GITHUB_TOKEN": "ghp_x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_ACCESS_KEY_ID": "x",
        "DB_PASSWORD": "x",
        "MY_API_KEY": "x",
        "HARMLESS": "AKIAABCDEFGHIJKLMNOP",
        "PROXY": "http://user:pass@proxy:80",
        "PWD": "/home/me",
        "MONKEY": "banana",
        "LAB_DOOR": "1234",
        "PUBLIC_KEY": "shown on purpose",
    }
    monkeypatch.setenv("DERIVA_ML_ENVIRONMENT_DENY", "^lab_ nothing")
    monkeypatch.setenv("DERIVA_ML_ENVIRONMENT_ALLOW", "PUBLIC_KEY")
    shown = environment.without_secrets(given)
    assert {name for name, value in shown.items() if value == environment.HIDDEN} == {
        "GITHUB_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "DB_PASSWORD",
        "MY_API_KEY",
        "HARMLESS",
        "LAB_DOOR",
    }
    assert shown["PROXY"] == "http://(hidden)@proxy:80"
    assert (shown["PWD"], shown["MONKEY"], shown["PUBLIC_KEY"]) == ("/home/me", "banana", "shown on purpose")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GITHUB_PAT", "0123456789abcdef"),
        ("SLACK_WEBHOOK_URL", "https://hooks.example.org/services/T0/B0/x"),
        ("CONNECTION", "Server=db;User=me;Password=tell-nobody;"),
        ("STORAGE", "AccountName=lab;AccountKey=tell+nobody==;EndpointSuffix=example.org"),
    ],
)
def test_secrets_that_do_not_look_like_it(name, value):
    assert environment.without_secrets({name: value}) == {name: environment.HIDDEN}


@pytest.mark.parametrize("name", ["PATH", "PYTHONPATH", "PATTERN", "HOME_PATCH"])
def test_harmless_variables_are_shown(name):
    assert environment.without_secrets({name: "/usr/bin"}) == {name: "/usr/bin"}


def test_secrets_of_the_command_line_too():
    hide = environment.without_arguments_secrets
    assert hide(["run", "--token", "x", "--name", "y"]) == ["run", "--token", "(hidden)", "--name", "y"]
    assert hide(["--api-key=x", "-v", "lr=0.1"]) == ["--api-key=(hidden)", "-v", "lr=0.1"]


def test_the_snapshot_has_its_blocks(monkeypatch):
    monkeypatch.setenv("SOME_TOKEN", "do not tell")
    found = environment.snapshot()
    assert set(found) == {"imports", "git", "os", "sys", "sys_path", "site", "platform", "gpu"}
    assert found["imports"]["pytest"] == pytest.__version__
    assert {"available", "source", "count", "devices"} <= set(found["gpu"])
    assert "do not tell" not in environment.snapshot_text()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("model_config.api_token=abcdef", "model_config.api_token=(hidden)"),
        ("- model_config.api_token=abcdef\n- epochs=3", "- model_config.api_token=(hidden)\n- epochs=3"),
        ("model:\n  password: 'a b'\n  width: 3\n", "model:\n  password: (hidden)\n  width: 3\n"),
        ("+data.url=postgresql://ada:pw@host/x", "+data.url=postgresql://(hidden)@host/x"),
        ("name=hf_abcdefghijklmnopqrstuv", "name=(hidden)"),
    ],
)
def test_secrets_in_settings_are_hidden(text, shown):
    assert environment.without_settings_secrets(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "model.tokenizer=bert",
        "max_tokens: 512",
        "pad_token: <pad>",
        "password: null",
        "api_key: ''",
        "key=3",
        "secretary: Ada",
    ],
)
def test_other_settings_are_shown(text):
    assert environment.without_settings_secrets(text) == text
