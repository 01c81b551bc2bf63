"""NarrativeClassifier: scikit-learn's verbs on bondlore's training, DataFrames in and out."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest

from bondlore.errors import InputError

pytest.importorskip("torch")
pytest.importorskip("sklearn")


@pytest.fixture(scope="module")
def frame():
    import tiny_encoder

    return pd.DataFrame(tiny_encoder.flat(40), index=[f"r{i}" for i in range(40)])


@pytest.fixture(scope="module")
def fitted(frame, tmp_path_factory):
    import tiny_encoder
    from bondlore import NarrativeClassifier

    base = str(tiny_encoder.write(tmp_path_factory.mktemp("base")))
    return NarrativeClassifier(base=base, encoder="frozen", folds=2).fit(frame, frame["labels"])


# The checks of `check_estimator` that need no data. All others fit on tables of numbers, which are no sentences: for
# an estimator whose tags say so, check_estimator itself leaves them out.
CHECKS = (
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_valid_tag_types",
)


@pytest.mark.parametrize("check", CHECKS)
def test_scikit_learns_own_checks_hold(check):
    from sklearn.utils import estimator_checks

    from bondlore import NarrativeClassifier

    getattr(estimator_checks, check)("NarrativeClassifier", NarrativeClassifier())


def test_check_estimator_leaves_out_what_asks_for_numbers():
    from sklearn.utils.estimator_checks import check_estimator

    from bondlore import NarrativeClassifier

    with pytest.warns(UserWarning, match="requires input"):
        check_estimator(NarrativeClassifier())


def test_parameters_are_set_got_and_cloned():
    from sklearn.base import clone

    from bondlore import NarrativeClassifier

    made = clone(NarrativeClassifier(encoder="frozen", folds=4)).set_params(epochs=7)
    assert made.get_params() == {
        "taxonomy": None, "base": None, "encoder": "frozen", "epochs": 7, "folds": 4, "seed": None, "recipe": None,
        "verbose": False,
    }  # fmt: skip
    with pytest.raises(ValueError, match="Invalid parameter"):
        made.set_params(depth=3)


def test_an_unfitted_one_says_so():
    from sklearn.exceptions import NotFittedError

    from bondlore import NarrativeClassifier

    with pytest.raises(NotFittedError):
        NarrativeClassifier().predict(["x"])


@pytest.mark.parametrize(
    ("X", "y", "reason"),
    [
        ("one text", [["a"]], "is one text"),
        ([1.0], [["a"]], "only strings"),
        ([None], [["a"]], "holds NoneType, not only strings"),
        (["x", "y"], [0, 1], "holds 0, which is no label"),
        (pd.DataFrame({"sentence": ["x"]}), [["a"]], "no column 'text'"),
        (["x", "y"], [["a"]], "2 texts and 1 rows"),
        (["x"], "a", "no row of labels"),
        (["x"], np.array([[2]]), "other numbers"),
    ],
)
def test_bad_input_is_named(X, y, reason):
    from bondlore import NarrativeClassifier

    with pytest.raises(InputError, match=reason):
        NarrativeClassifier().fit(X, y)


def test_an_unknown_encoder_is_named():
    from bondlore import NarrativeClassifier

    with pytest.raises(InputError, match="encoder is 'fozen'"):
        NarrativeClassifier(encoder="fozen").fit(["x"] * 8, [["a"]] * 8)


def test_a_column_of_none_is_no_narrative():
    from bondlore.train.estimator import _labels

    y = pd.DataFrame({"a": [1, 0], "None": [0, 1]})
    assert _labels(y) == (["a"], [["a"], []])


def test_a_label_may_name_its_stance(monkeypatch):
    from bondlore import NarrativeClassifier
    from bondlore.train import estimator

    taught = []
    monkeypatch.setattr(estimator, "train", lambda rows, known, *_, **__: taught.append((rows, known.ids)))
    monkeypatch.setattr(NarrativeClassifier, "_open", lambda *_: None)
    made = NarrativeClassifier().fit(["x", "y"], [["Fed policy"], ["Fed policy:reject"]])
    articles, ids = taught[0]
    assert ids == ("fed_policy",)
    assert [a.labels[1]["fed_policy"] for a in articles] == ["support", "reject"]
    assert list(made.classes_) == ["Fed policy"]


@pytest.mark.slow
def test_frames_come_back_as_frames(fitted, frame):
    assert list(fitted.classes_) == ["Margin calls", "supply"]
    p = fitted.predict_proba(frame)
    assert list(p.columns) == ["Margin calls", "supply"]
    assert list(p.index) == list(frame.index)
    said = fitted.predict(frame["text"])
    assert said.loc["r0"].tolist() == [1, 0]
    assert said.loc["r4"].tolist() == [1, 1]


@pytest.mark.slow
def test_lists_come_back_as_arrays(fitted, frame):
    p = fitted.predict_proba(list(frame["text"].iloc[[0, 2]]))
    assert isinstance(p, np.ndarray)
    assert p.shape == (2, 2)
    assert p[0, 0] > p[1, 0]
    assert fitted.predict_proba([]).shape == (0, 2)


@pytest.mark.slow
def test_the_score_is_micro_f1_whatever_the_form_of_labels(fitted, frame):
    from sklearn.metrics import f1_score

    gold = pd.DataFrame({c: [int(c in x) for x in frame["labels"]] for c in fitted.classes_}, index=frame.index)
    value = fitted.score(frame, frame["labels"])
    assert value == pytest.approx(f1_score(gold, fitted.predict(frame), average="micro"))
    assert fitted.score(frame["text"], gold) == value
    with pytest.raises(InputError, match="none of the model's"):
        fitted.score(["x"], [["weather"]])


@pytest.mark.slow
def test_it_is_kept_as_a_model_folder_never_as_a_pickle(fitted, frame, tmp_path):
    from bondlore import NarrativeClassifier, Tagger

    with pytest.raises(TypeError, match=r"save\(folder\)"):
        pickle.dumps(fitted)
    folder = fitted.save(tmp_path / "m")
    again = NarrativeClassifier.load(folder)
    assert again.predict_proba(frame).to_numpy() == pytest.approx(fitted.predict_proba(frame).to_numpy())
    assert Tagger.load(folder).model == fitted.tagger_.model
    with pytest.raises(InputError, match="is there already"):
        fitted.save(folder)
