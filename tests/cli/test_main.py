import importlib
import re
import signal
import subprocess
import sys

import pytest
from tests.cli.typed import SCRIPTS
from tests.interpreter import python

from deriva_ml.cli.main import COMMANDS, Command, main
from deriva_ml.cli.programs import PROGRAMS
from deriva_ml.ermrest.connect import connect


def run(*words):
    return subprocess.run(
        [python(), "-m", "deriva_ml.cli.main", *map(str, words)], capture_output=True, text=True
    )


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_overview(capsys, words):
    try:
        status = main(words)
    except SystemExit as done:
        status = done.code
    out = capsys.readouterr().out
    assert status == 0
    assert all(command.name in out and command.help in out for command in COMMANDS)


def test_help_is_cheap():
    code = "import sys; from deriva_ml.cli.main import main; main([]); print([m for m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not re.search(r"'(deriva|sqlalchemy|pandas|pydantic|requests|werkzeug)'", loaded)
    own = ["upload", "split-dataset", "storage", "create-demo-catalog", "bump-version", "completion"]
    code = f"""
import sys
from deriva_ml.cli.main import COMMANDS
[command.parser() for command in COMMANDS if command.name in {own}]
print([m for m in sys.modules])"""
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not re.search(r"'(deriva|sqlalchemy|pandas|pydantic|requests|werkzeug|textual)'", loaded)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_has_help(capsys, command):
    with pytest.raises(SystemExit) as done:
        main([*command.name.split(), "--help"])
    assert done.value.code == 0
    out = capsys.readouterr().out
    assert "usage: deriva-ml " + command.name in out
    assert f"  deriva-ml {command.name}" in out.partition("example")[2]


def test_every_program_is_a_command_too():
    assert {*PROGRAMS, "deriva-ml"} == {*SCRIPTS}
    for name, command in PROGRAMS.items():
        assert f"  {name}" in command.parser(name).epilog


def forwarded_arguments(parser):
    parser.add_argument("--host")


def forwarded(parser, words):
    known, rest = parser.parse_known_args(words)
    return 0 if (known.host, rest) == ("lab", ["--ho", "x", "a=1"]) else 1


def test_a_command_may_hand_words_on_to_another_program():
    command = Command("forward", "hand words on", __name__, "forwarded", reads_words=True)
    assert command.run(["--ho", "x", "a=1", "--host", "lab"]) == 0


@pytest.mark.parametrize(
    "path",
    [
        "deriva_ml.cli.upload",
        "deriva_ml.dataset.split",
        "deriva_ml.cache_tui",
        "deriva_ml.demo_catalog",
        "deriva_ml.bump_version",
        "deriva_ml.tools.validate_schema_doc",
    ],
)
def test_known_entries(path, capsys):
    with pytest.raises(SystemExit) as done:
        importlib.import_module(path).main(["--help"])
    assert done.value.code == 0
    assert "example" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["frobnicate"], "there is no command 'frobnicate'; there are: new, init, serve"),
        (["catalog", "frobnicate"], "catalog create"),
        (["split-datset"], "did you mean `deriva-ml split-dataset`?"),
        (["split", "dataset", "--host", "x"], "did you mean `deriva-ml split-dataset`"),
        (["catalog", "lst"], "did you mean `deriva-ml catalog list`"),
        (["rnu"], "did you mean `deriva-ml run`?"),
        (["resume", "--help"], "no command 'resume'; did you mean `deriva-ml upload`?"),
        (["bump"], "did you mean `deriva-ml bump-version`?"),
    ],
)
def test_unknown_commands(capsys, words, said):
    assert main(words) == 2
    assert said in capsys.readouterr().err


def test_version():
    assert re.fullmatch(r"deriva-ml \S+\n", run("--version").stdout)


def test_init_and_create(tmp_path, capsys):
    folder = tmp_path / "my lab"
    assert main(["init", str(folder)]) == 0
    assert "catalog create" in capsys.readouterr().out
    assert main(["init", str(folder)]) == 0
    assert main(["catalog", "create", str(folder), "lab", "--alias", "main", "--schema", "own"]) == 0
    assert f"DerivaML('{folder}', '1')" in capsys.readouterr().out
    assert "own" in connect(folder, "main").model().schemas


def test_errors_are_one_line(tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    assert main(["init", str(tmp_path / "file")]) == 1
    assert main(["catalog", "create", str(tmp_path / "lab"), "not a name"]) == 1
    assert main(["serve", str(tmp_path / "nowhere")]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3 and all(line.startswith("deriva-ml: ") for line in lines)


def test_serve_refuses_other_addresses(tmp_path, capsys):
    main(["init", str(tmp_path / "lab")])
    assert main(["serve", str(tmp_path / "lab"), "--host", "0.0.0.0"]) == 1
    assert "no accounts yet" in capsys.readouterr().err


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_serve(tmp_path, end):
    main(["catalog", "create", str(tmp_path / "lab"), "lab"])
    words = [sys.executable, "-m", "deriva_ml.cli.main", "serve", str(tmp_path / "lab"), "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            url = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())[0]
            there, here = connect(url, 1), connect(tmp_path / "lab", 1)
            assert there.document()["snaptime"] == here.document()["snaptime"]
            process.send_signal(end)
            assert process.wait(60) == 0
            assert process.stderr.read() == ""
        finally:
            process.kill()
