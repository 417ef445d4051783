"""Samples of a bag for PyTorch and TensorFlow: the rules that both share, and both where they are installed."""

from __future__ import annotations

import multiprocessing
import pickle
import sys
from typing import Any

import pytest
from tests.contract.readable import Readable

from deriva_ml.dataset.samples import Samples, Sampling
from deriva_ml.errors import DerivaMLException, DerivaMLFeatureNotFound, DerivaMLTableNotFound
from deriva_ml.feature.select import select_newest

NEWEST = {"Quality": select_newest}


@pytest.fixture
def bag(lab: Readable) -> Any:
    return lab.bag(lab.outer)


def load(path: Any, row: Any) -> str:
    assert path.name == row["Filename"]
    return str(path.read_text())


def grade(record: Any) -> int:
    return ["Bad", "Good"].index(record.Grade)


def samples(bag: Any, table: str = "Image", **how: Any) -> Samples:
    return Samples(bag, table, Sampling(**{"sample_loader": load, **how}))


def test_samples_are_all_rows_that_belong_to_the_dataset(lab: Readable, bag: Any) -> None:
    found = list(samples(bag))
    expected = sorted((lab.rids[f"image {n}"], f"image {n}") for n in range(5))
    assert [(rid, sample) for sample, rid in found] == expected
    assert list(samples(bag, reachable=False)) == []
    inner = lab.bag(lab.inner)
    assert [rid for _, rid in samples(inner, reachable=False)] == sorted(
        lab.rids[f"image {n}"] for n in range(4)
    )
    assert samples(bag)[-1] == found[-1]
    assert samples(bag)[:2] == found[:2]
    with pytest.raises(IndexError):
        samples(bag)[5]


def test_rows_without_files(lab: Readable, bag: Any) -> None:
    names = [sample["Name"] for sample, _ in samples(bag, "Subject", sample_loader=None)]
    assert sorted(names) == ["Ada", "Bob", "Cyd", "Eve"]
    shout = {
        "sample_loader": lambda path, row: (path, row["Name"]),
        "transform": lambda pair: pair[1].upper(),
    }
    assert sorted(sample for sample, _ in samples(bag, "Subject", **shout))[0] == "ADA"


def test_one_target_and_several(lab: Readable, bag: Any) -> None:
    found = {rid: target for _, target, rid in samples(bag, targets=NEWEST, target_transform=grade)}
    assert [found[lab.rids[f"image {n}"]] for n in range(4)] == [1, 0, 1, 0]
    record = samples(bag, targets=NEWEST)[0][1]
    assert (record.Feature_Name, record.Execution) == ("Quality", lab.rids["Grade two"])
    both = samples(bag, targets={**NEWEST, "Outline": None}, missing="skip")
    assert [rid for _, _, rid in both] == sorted(lab.rids[f"image {n}"] for n in range(2))
    assert {name: each.Feature_Name for name, each in both[0][1].items()} == {
        "Quality": "Quality",
        "Outline": "Outline",
    }


def test_missing_values(lab: Readable, bag: Any) -> None:
    with pytest.raises(DerivaMLException, match=f"have no value of Outline: .*{lab.rids['image 3']}"):
        samples(bag, targets=["Outline"])
    unknown = samples(bag, targets=["Outline"], missing="unknown", target_transform=lambda record: "there")
    assert sorted(str(target) for _, target, _ in unknown) == ["None"] * 3 + ["there"] * 2
    assert len(samples(bag, targets=["Outline"], missing="skip")) == 2


@pytest.mark.parametrize(
    ("table", "how", "error", "message"),
    [
        ("Imagee", {}, DerivaMLTableNotFound, "Imagee"),
        ("Image", {"sample_loader": None}, DerivaMLException, "pass sample_loader="),
        ("Image", {"targets": ["Nonsense"]}, DerivaMLFeatureNotFound, "it has: Outline, Quality, Side"),
        ("Image", {"targets": "Quality"}, ValueError, r"targets=\['Quality'\]"),
        ("Image", {"targets": ["Quality.Grade"]}, ValueError, "target_transform"),
        ("Image", {"targets": ["Quality"]}, DerivaMLException, "has several values of 'Quality'"),
        ("Image", {"missing": "drop"}, ValueError, "'error', 'skip' or 'unknown', not 'drop'"),
    ],
)
def test_mistakes(bag: Any, table: str, how: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        samples(bag, table, **how)


def test_files_that_were_not_downloaded(lab: Readable) -> None:
    bag = lab.inner.download_dataset_bag("0.2.0", materialize=False)
    with pytest.raises(DerivaMLException, match=r"call bag\.materialize\(\) first"):
        samples(bag)[0]


def first(found: Samples) -> Any:
    return found[0]


def test_processes_that_were_not_forked(bag: Any) -> None:
    made = samples(bag, targets={"Quality": lambda records: select_newest(records)})
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        sample, record, rid = pool.apply(first, (made,))
    assert (sample, record.to_row(), rid) == (made[0][0], made[0][1].to_row(), made[0][2])


@pytest.mark.parametrize(
    ("method", "module", "hint"),
    [
        ("as_torch_dataset", "torch", r"deriva-ml\[torch\]"),
        ("as_tf_dataset", "tensorflow", r"deriva-ml\[tf\]"),
    ],
)
def test_a_trainer_that_is_not_installed(
    bag: Any, monkeypatch: pytest.MonkeyPatch, method: str, module: str, hint: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, f"{module}.utils.data", None)
    with pytest.raises(ImportError, match=hint):
        getattr(bag, method)("Image", sample_loader=load)


def tensor(path: Any, row: Any) -> Any:
    import torch

    return torch.tensor([len(path.read_text()), float(row["Exposure"])])


def test_torch(lab: Readable, bag: Any) -> None:
    torch = pytest.importorskip("torch")
    made = bag.as_torch_dataset("Image", sample_loader=tensor, targets=NEWEST, target_transform=grade)
    assert isinstance(made, torch.utils.data.Dataset)
    assert len(pickle.loads(pickle.dumps(bag.as_torch_dataset("Image", sample_loader=tensor)))) == 5
    seen: list[str] = []
    for context in (None, "fork", "spawn"):
        loader = torch.utils.data.DataLoader(
            made, batch_size=4, num_workers=2 if context else 0, multiprocessing_context=context
        )
        for values, targets, rids in loader:
            assert values.shape == (len(rids), 2)
            assert targets.dtype == torch.int64
            seen += rids
    assert sorted(seen) == sorted(3 * [lab.rids[f"image {n}"] for n in range(5)])


def test_tensorflow(lab: Readable, bag: Any) -> None:
    tf = pytest.importorskip("tensorflow")

    def characters(path: Any, row: Any) -> list[float]:
        return [float(ord(each)) for each in path.read_text()]

    made = bag.as_tf_dataset("Image", sample_loader=characters, targets=NEWEST, target_transform=grade)
    found = {rid.numpy().decode(): (len(values), int(target)) for values, target, rid in made}
    assert found[lab.rids["image 1"]] == (len("image 1"), 0)
    assert len(found) == 5
    batched = next(iter(made.padded_batch(5)))
    assert batched[0].shape == (5, 7)
    spec = (tf.TensorSpec([None], tf.float64), tf.TensorSpec([], tf.string))
    typed = bag.as_tf_dataset("Image", sample_loader=characters, output_signature=spec)
    assert {values.dtype for values, _ in typed} == {tf.float64}
    with pytest.raises(DerivaMLException, match="pass output_signature="):
        bag.as_tf_dataset("Image", sample_loader=characters, reachable=False)
    with pytest.raises(DerivaMLException, match="TensorFlow does not take a sample of Image"):
        bag.as_tf_dataset("Image", sample_loader=characters, targets=NEWEST)
