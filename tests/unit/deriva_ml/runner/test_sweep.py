import pytest

from deriva_ml.runner.sweep import ParentNote, SweepNotes, find_unfinished

WANTED = ParentNote("", "/eyes", "deriva_ml", ["model_config.epochs=1,2"])


@pytest.mark.parametrize(
    ("noted", "is_found"),
    [
        (WANTED, True),
        (ParentNote("1-ABC", "/eyes", "deriva_ml", ["model_config.epochs=1,2"]), True),
        (ParentNote("1-ABC", "/ears", "deriva_ml", ["model_config.epochs=1,2"]), False),
        (ParentNote("1-ABC", "/eyes", "evaluation", ["model_config.epochs=1,2"]), False),
        (ParentNote("1-ABC", "/eyes", "deriva_ml", ["model_config.epochs=1,3"]), False),
        (ParentNote("1-ABC", "/eyes", "deriva_ml", ["model_config.epochs=1,2"], complete=True), False),
    ],
)
def test_which_sweep_is_taken_up(tmp_path, noted, is_found):
    SweepNotes(tmp_path / "first").write_parent(noted)
    found = find_unfinished(tmp_path, WANTED)
    assert (found is not None and found.sweep_folder == tmp_path / "first") == is_found
