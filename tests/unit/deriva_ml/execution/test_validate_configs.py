"""Files of configurations are checked without being run."""

import pytest

from deriva_ml.dataset import registry
from deriva_ml.errors import DerivaMLValidationError
from deriva_ml.execution.validate import validate_config_directory, validate_config_file


@pytest.fixture
def dataset_rid(session):
    return registry.create(session, description="all of them")


@pytest.fixture
def written(tmp_path):
    def write(name, *lines):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


def test_declarations_are_found_without_running_the_file(session, dataset_rid, image_rid, written):
    path = written(
        "datasets.py",
        "from deriva_ml.dataset import DatasetSpecConfig as Data, specs",
        f"RID = {dataset_rid!r}",
        "raise RuntimeError('run')",
        "ONE = Data(rid=RID)",
        f"TWO = [specs.DatasetSpecConfig({dataset_rid!r}, '9.0.0'), AssetSpecConfig({image_rid!r})]",
        "THREE = builds(AssetSpec, rid='9-ZZZZ')",
        "FOUR = builds(Other, rid='9-ZZZZ')",
    )
    report = validate_config_file(session, path)
    assert [(found.place, found.result.reasons) for found in report.results] == [
        (f"{path}:4", []),
        (f"{path}:5", ["version_not_found"]),
        (f"{path}:5", []),
        (f"{path}:6", ["rid_not_found"]),
    ]
    assert not report.all_valid and not report.problems and not report.unread
    assert f"{path}:5: dataset {dataset_rid}@9.0.0: version_not_found (there are 0.1.0)" in str(report)


def test_names_with_types_placeholders_and_local_files(session, dataset_rid, written, tmp_path):
    (tmp_path / "there.csv").touch()
    path = written(
        "typed.py",
        f"RID: str = {dataset_rid!r}",
        "LATER: str",
        "ONE = DatasetSpecConfig(rid=RID)",
        "TWO = DatasetSpecConfig(rid='0-0000', version='0.1.0')",
        "THREE = AssetSpecConfig('0-0000')",
        f"FOUR = LocalFileConfig(path={str(tmp_path / 'there.csv')!r})",
        f"FIVE = LocalFile({str(tmp_path / 'absent.csv')!r})",
    )
    report = validate_config_file(session, path)
    assert not report.unread and not report.problems
    assert [found.result.reasons for found in report.results] == [
        [], ["rid_not_found"], ["rid_not_found"], [], ["file_not_found"],
    ]  # fmt: skip
    said = str(report).splitlines()
    assert all("a placeholder; put a RID of this catalog in its place" in line for line in said[1:3])
    assert said[4].startswith(f"{path}:7: file ") and said[4].endswith("absent.csv: file_not_found")


def test_lists_of_rids_in_the_groups_of_datasets_and_assets(session, dataset_rid, image_rid, written):
    path = written(
        "options.py",
        "from configs.parts import TRAINING",
        "ONE = DatasetSpecConfig('9-ZZZZ')",
        f"TWO = {image_rid!r}",
        f"store([{dataset_rid + '@9.0.0'!r}, ONE], group='datasets', name='a')",
        "assets = hydra_zen.store(group='assets')",
        "assets(with_description([TWO, '9-ZZZZ'], 'two'), name='b')",
        "store([TRAINING], group='datasets', name='c')",
        "store([LocalFileConfig('here')], group='assets', name='d')",
        "store(['9-ZZZZ'], group='model_config', name='e')",
        "store(made(), group='assets', name='f')",
        "store(builds(AssetSpec, TWO), group='assets', name='g')",
    )
    report = validate_config_file(session, path)
    assert [(found.place, found.result.reasons) for found in report.results] == [
        (f"{path}:2", ["rid_not_found"]),
        (f"{path}:4", ["version_not_found"]),
        (f"{path}:6", []),
        (f"{path}:6", ["rid_not_found"]),
        (f"{path}:8", ["file_not_found"]),
        (f"{path}:11", []),
    ]
    assert report.unread == [
        f"{path}:7: only a run knows the values of this DatasetSpec",
        f"{path}:10: only a run knows the values of this AssetSpec",
    ]
    assert not report.problems


def test_what_only_a_run_knows_is_told_and_not_checked(session, written):
    path = written(
        "computed.py",
        "DatasetSpecConfig(rid=find())",
        "DatasetSpecConfig(**given)",
        "for rid in found: AssetSpecConfig(rid)",
    )
    report = validate_config_file(session, path)
    assert [line.partition(": ")[0] for line in report.unread] == [f"{path}:{line}" for line in (1, 2, 3)]
    assert report.all_valid and not report.results


def test_what_no_run_could_use_is_a_problem_with_its_place(session, dataset_rid, written):
    path = written("odd.py", f"DatasetSpecConfig({dataset_rid!r}, version='newest')", "AssetSpecConfig()")
    first, second = validate_config_file(session, path).problems
    assert first.startswith(f"{path}:1: ") and "newest" in first
    assert second.startswith(f"{path}:2: ") and "rid" in second
    broken = written("broken.py", "a = 1", "b = (")
    report = validate_config_file(session, broken)
    assert report.problems[0].startswith(f"{broken}:2: ") and not report.all_valid


def test_a_folder(session, dataset_rid, written, tmp_path):
    line = f"DatasetSpecConfig({dataset_rid!r})"
    one, two = written("configs/a.py", line), written("configs/dev/b.py", line)
    written("configs/.venv/c.py", line)
    places = [found.place for found in validate_config_directory(session, tmp_path / "configs").results]
    assert places == [f"{one}:1", f"{two}:1"]
    flat = validate_config_directory(session, tmp_path / "configs", recursive=False)
    assert [found.place for found in flat.results] == [f"{one}:1"]


def test_where_there_is_nothing_to_read(session, tmp_path):
    with pytest.raises(DerivaMLValidationError, match="no Python file in"):
        validate_config_directory(session, tmp_path)
    with pytest.raises(DerivaMLValidationError, match="no folder"):
        validate_config_directory(session, tmp_path / "absent")
    with pytest.raises(DerivaMLValidationError, match=r"absent\.py cannot be read"):
        validate_config_file(session, tmp_path / "absent.py")
