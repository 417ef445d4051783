"""``deriva-ml completion``: a real bash completes words."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from deriva_ml.cli.main import main

TRY = """
source "$1"; shift
try() {
  COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}; COMPREPLY=()
  function=$(complete -p "$1" | sed -E 's/.* -F ([^ ]+) .*/\\1/')
  "$function" "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
  echo "${COMPREPLY[*]}"
}
"""

CASES = {
    "deriva-ml sp": "split-dataset",
    "deriva-ml catalog ": "create list clone localize delete purge",
    "deriva-ml objects ": "gc verify metrics",
    "deriva-ml catalog create --re": "--retarget",
    "deriva-ml split-dataset --stratify-m": "--stratify-missing",
    "deriva-ml split-dataset --stratify-missing ": "error drop include",
    "deriva-ml completion ": "bash zsh fish",
    "deriva-ml-storage --sort ": "size location type modified",
    "deriva-ml-upload --ex": "--execution",
    "bump-version m": "minor major",
}


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


def test_bash(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "script").write_text(script("bash", capsys))
    tries = "\n".join("try " + " ".join(f"'{word}'" for word in line.split(" ")) for line in CASES)
    done = subprocess.run(
        ["bash", "-c", TRY + tries, "bash", "./script"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert dict(zip(CASES, done.stdout.splitlines(), strict=True)) == CASES


@pytest.mark.parametrize(
    ("shell", "asks"),
    [
        ("zsh", 'autoload -Uz compinit; compinit -D -u; source ./script; print -- "${_comps[deriva-ml]}"'),
        ("fish", 'source ./script; complete -C "deriva-ml split-dataset --stratify-missing "'),
    ],
)
def test_other_shells(shell: str, asks: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = script(shell, capsys)
    assert "split-dataset" in text
    if shutil.which(shell) is None:
        return
    (tmp_path / "script").write_text(text)
    words = [shell, *(["-f"] if shell == "zsh" else []), "-c", asks]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert ("_shtab_deriva_ml" if shell == "zsh" else "include") in done.stdout


def test_another_shell(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["completion", "csh"])
    assert done.value.code == 2
    assert "choose from" in capsys.readouterr().err
