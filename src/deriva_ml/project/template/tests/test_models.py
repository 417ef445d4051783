"""The models, without a catalog."""

import sklearn.datasets

from models.digits_mlp import classifier, fit


def test_it_learns():
    digits = sklearn.datasets.load_digits()
    model = classifier(hidden_units=32, learning_rate=0.01, seed=0)
    steps = list(fit(model, digits.data / 16, digits.target.astype(str), epochs=3, seed=0))
    assert [step["epoch"] for step in steps] == [0, 1, 2]
    assert steps[-1]["loss"] < steps[0]["loss"]
    assert steps[-1]["validation_accuracy"] > 0.8
