"""What is not committed is kept so that the files that ran can be made again."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from deriva_ml.errors import DerivaMLWorkflowError
from deriva_ml.workflow import changes, git

PEM = "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\n"


@pytest.fixture(autouse=True)
def _plain(monkeypatch, tmp_path):
    """Settings of a user that make plain `git diff` unfit for `git apply`."""
    hostile = tmp_path / "gitconfig"
    hostile.write_text(
        "[user]\nname = T\nemail = t@example.org\n[init]\ndefaultBranch = main\n[color]\nui = always\n"
        "[diff]\nnoprefix = true\nmnemonicPrefix = true\nrenames = copies\nexternal = false\ncontext = 0\n"
        'submodule = log\n[protocol "file"]\nallow = always\n'
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(hostile))
    for name in ("PATCH_BYTES", "PATCH_FILE_BYTES", "PATCH_DENY", "DIRTY_CHECK_IGNORE"):
        monkeypatch.delenv(f"DERIVA_ML_{name}", raising=False)


def run(folder, *arguments):
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def commit(root, **files):
    for name, content in files.items():
        (root / name).write_bytes(content)
    run(root, "add", ".")
    run(root, "commit", "-m", "more")


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "project"
    root.mkdir()
    run(root, "init")
    (root / "src").mkdir()
    (root / "src" / "train.py").write_text("a = 1\nb = 2\nc = 3\n")
    (root / "src" / "mit Leerzeichen ä.py").write_text("x\n")
    (root / "src" / "tail").write_bytes(b"no newline at the end")
    (root / "model.bin").write_bytes(bytes(range(256)) * 4)
    (root / "windows.txt").write_bytes(b"one\r\ntwo\r\n")
    (root / "gone.py").write_text("gone\n")
    (root / "run.sh").write_text("echo\n")
    (root / "link").symlink_to("run.sh")
    (root / "note.ipynb").write_text('{"cells": [{"outputs": ["1"]}]}\n')
    (root / ".gitignore").write_text("ignored/\n")
    run(root, "add", ".")
    run(root, "commit", "-m", "first")
    return root


def tree(root):
    """Everything but what git keeps: content, kind and right to run of each file."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if name.split("/")[0] in {".git", changes.PATCH_NAME}:
            continue
        if path.is_symlink():
            found[name] = ("link", os.readlink(path))
        elif path.is_file():
            found[name] = (os.access(path, os.X_OK), path.read_bytes())
    return found


def rebuilt(root, patch, tmp_path):
    """The files that the patch gives in a clone, made as the patch says."""
    clone = tmp_path / "clone"
    run(tmp_path, "clone", "-q", str(root), str(clone))
    lines = [
        line[2:].strip() for line in patch.decode(errors="replace").splitlines() if line.startswith("# ")
    ]
    (clone / changes.PATCH_NAME).write_bytes(patch)
    for line in lines:
        if line.startswith(("git checkout", "git apply")):
            run(clone, *line.split()[1:])
    return tree(clone)


def test_a_clean_tree_has_nothing(root):
    assert changes.uncommitted(root) is None
    (root / "ignored").mkdir()
    (root / "ignored" / "x.py").write_text("ignored")
    (root / "outputs").mkdir()
    (root / "outputs" / "x.txt").write_text("does not count")
    assert changes.uncommitted(root) is None


def test_the_files_that_ran_are_made_again(root, tmp_path):
    (root / "src" / "train.py").write_text("a = 1\nb = 22\nc = 3\nd = 4\n")
    (root / "src" / "mit Leerzeichen ä.py").write_text("ÿ\n")
    (root / "src" / "tail").write_bytes(b"still none")
    (root / "model.bin").write_bytes(bytes(range(255, -1, -1)) * 3)
    (root / "windows.txt").write_bytes(b"one\r\n2\r\nmixed\n")
    (root / "gone.py").unlink()
    (root / "run.sh").chmod(0o755)
    (root / "link").unlink()
    (root / "link").write_text("a file now\n")
    (root / "note.ipynb").write_text('{"cells": [{"outputs": ["2"]}]}\n')
    run(root, "mv", "src/train.py", "src/fit.py")
    (root / "staged.py").write_text("staged\n")
    run(root, "add", "staged.py")
    (root / "staged.py").write_text("staged, then changed\n")
    (root / "new").mkdir()
    odd = ["ü", "b c.py", "\ttab", 'q"uote', "back\\slash", "crlf\r\n", "-dash", ":(top)x", "*.py", "a b b"]
    for name in odd:
        (root / "new" / name).write_bytes(name.encode() + b"\r\nno end")
    (root / "new" / "empty").touch()
    (root / "new" / "diff").write_text("diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n")
    (root / "new" / "dangling").symlink_to("nowhere")
    (root / "new" / "run").write_text("#!/bin/sh\n")
    (root / "new" / "run").chmod(0o755)
    expected, index = tree(root), (root / ".git" / "index").read_bytes()
    objects = sorted((root / ".git" / "objects").rglob("*"))
    patch = changes.uncommitted(root)
    assert rebuilt(root, patch, tmp_path) == expected
    assert (root / ".git" / "index").read_bytes() == index
    assert sorted((root / ".git" / "objects").rglob("*")) == objects
    assert b"Not in this patch" not in patch


def test_from_a_name_that_no_text_can_hold(root, tmp_path):
    raw = os.fsencode(root) + b"/caf\xe9.py"
    with open(raw, "wb") as file:
        file.write(b"latin\n")
    expected = tree(root)
    assert rebuilt(root, changes.uncommitted(root), tmp_path) == expected


def test_what_is_left_out_is_listed(root, tmp_path, monkeypatch):
    monkeypatch.setenv("DERIVA_ML_PATCH_FILE_BYTES", "1000")
    monkeypatch.setenv("DERIVA_ML_PATCH_DENY", "*.lic")
    monkeypatch.setenv("DERIVA_ML_DIRTY_CHECK_IGNORE", "mine/")
    commit(root, **{".env.local": b"A=1\n"})
    left_out = {
        "scan.png": (b"\x89PNG\0\0", "binary"),
        "long.csv": (b"1,2\n" * 300, "too large"),
        ".env": (b"TOKEN=x\n", "secret by its name"),
        "keys/server.PEM": (b"x", "secret by its name"),
        "id_rsa": (b"x", "secret by its name"),
        "aws_credentials.json": (b"x", "secret by its name"),
        "mine.lic": (b"x", "secret by its name"),
        "key.py": (PEM.encode(), "may hold a secret"),
        "mine/x.txt": (b"x", "do not count"),
        "outputs/y.txt": (b"y", "do not count"),
        "bad\nname.npy": (b"\0", "binary"),
    }
    before = tree(root)
    for name, (content, _) in left_out.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(content)
    (root / ".env.local").write_text("A=secret\n")
    (root / "gone.py").write_text("not gone\n")
    run(root, "init", "-q", "inner")
    (root / "inner" / "x").touch()
    patch = changes.uncommitted(root)
    head = patch.partition(b"diff --git")[0].decode()
    for name, (_, reason) in left_out.items():
        shown = name if name.isprintable() else ascii(name)
        assert any(line.startswith(f"#   {shown}: ") and reason in line for line in head.splitlines()), name
    assert "#   .env.local: may be a secret" in head
    assert "#   inner/: a repository of its own" in head
    assert b"A=secret" not in patch
    assert b"PRIVATE KEY" not in patch
    assert rebuilt(root, patch, tmp_path) == before | {"gone.py": (False, b"not gone\n")}


def test_what_is_large_is_left_out_and_the_small_is_kept(root, tmp_path, monkeypatch):
    monkeypatch.setenv("DERIVA_ML_PATCH_BYTES", "1500")
    before = tree(root)
    (root / "run.sh").write_text("echo 1\n")
    (root / "note.ipynb").write_text("x\n" * 2000)
    (root / "model.bin").write_bytes(os.urandom(3000))
    for number in range(40):
        (root / f"n{number:02}.txt").write_text("x" * 40)
    patch = changes.uncommitted(root)
    assert len(patch) < 1500 + 4000
    head = patch.partition(b"diff --git")[0].decode()
    assert "note.ipynb: too large" in head
    assert "model.bin: too large" in head
    assert "run.sh" not in head
    made = rebuilt(root, patch, tmp_path)
    assert made["run.sh"] == (False, b"echo 1\n")
    assert made["note.ipynb"] == before["note.ipynb"]
    monkeypatch.setenv("DERIVA_ML_PATCH_BYTES", "0")
    assert changes.uncommitted(root) is None


def test_only_what_is_left_out(root, tmp_path):
    (root / "scan.png").write_bytes(b"\0")
    before = tree(root) | {}
    patch = changes.uncommitted(root)
    assert b"git apply" not in patch
    del before["scan.png"]
    assert rebuilt(root, patch, tmp_path) == before


def test_submodules_are_named(root, tmp_path):
    inner = tmp_path / "inner"
    inner.mkdir()
    run(inner, "init")
    commit(inner, lib=b"1\n")
    first = run(inner, "rev-parse", "HEAD")
    run(root, "submodule", "add", "-q", str(inner), "lib")
    run(root, "commit", "-m", "lib")
    (root / "lib" / "lib").write_text("2\n")
    (root / "run.sh").write_text("echo 1\n")
    patch = changes.uncommitted(root).decode()
    assert f"lib: a submodule, at commit {first}, with changes of its own" in patch
    assert "diff --git a/lib" not in patch
    run(root / "lib", "commit", "-am", "second")
    second = run(root / "lib", "rev-parse", "HEAD")
    patch = changes.uncommitted(root)
    assert f"lib: a submodule, at commit {second}\n" in patch.decode()
    assert rebuilt(root, patch, tmp_path)["run.sh"] == (False, b"echo 1\n")


def test_before_the_first_commit(tmp_path):
    root = tmp_path / "young"
    root.mkdir()
    run(root, "init")
    (root / "a.py").write_text("a\n")
    (root / "b.py").write_text("b\n")
    run(root, "add", "b.py")
    patch = changes.uncommitted(root)
    assert b"git init" in patch
    other = tmp_path / "other"
    run(tmp_path, "init", "-q", "other")
    (other / changes.PATCH_NAME).write_bytes(patch)
    run(other, "apply", changes.PATCH_NAME)
    assert tree(other) == tree(root)


def test_in_the_middle_of_a_merge(root, tmp_path):
    run(root, "checkout", "-q", "-b", "other")
    commit(root, **{"run.sh": b"echo other\n", "both": b"other\n"})
    run(root, "checkout", "-q", "main")
    commit(root, **{"run.sh": b"echo main\n", "both": b"main\n"})
    merged = subprocess.run(["git", "merge", "other"], cwd=root, capture_output=True)
    assert merged.returncode == 1
    expected = tree(root)
    assert rebuilt(root, changes.uncommitted(root), tmp_path) == expected


def test_a_second_working_tree(root, tmp_path):
    other = tmp_path / "second"
    run(root, "worktree", "add", "-q", str(other))
    (other / "new.py").write_text("new\n")
    expected = tree(other)
    assert rebuilt(other, changes.uncommitted(other), tmp_path) == expected


def test_git_that_cannot_tell(root, monkeypatch):
    (root / "new.py").touch()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(DerivaMLWorkflowError, match="git status"):
        changes.uncommitted(root)
    assert git.dirty_paths(root) == []


def test_many_files_take_few_commands(root, monkeypatch):
    seen, original = [], git._run
    monkeypatch.setattr(git, "_run", lambda *a, **k: seen.append(a[1]) or original(*a, **k))
    assert changes.uncommitted(root) is None
    assert seen == ["status"]
    for number in range(300):
        (root / f"n{number}.py").write_text("x")
    changes.uncommitted(root)
    assert len(seen) < 10


def test_files_are_those_of_the_pathlib(root):
    assert changes._path_of(b'diff --git "a/q\\"" "b/q\\""\nindex') == 'q\\"'
    assert changes._path_of(b"diff --git a/x b/y b/x b/y\n") == "x b/y"
    assert Path(changes.PATCH_NAME).suffix == ".patch"
