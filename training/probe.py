"""How much emotion a description of a face holds: small read-outs, trained and measured the same way for all.

Any method is compared through the same probe: its features go in as an ``.npz`` of ``id`` and ``feat``. Protocol:
features standardised with the training mean and deviation; ``logreg`` (multinomial, L2, balanced) or ``mlp``
(256-256 ReLU, balanced, three seeds averaged); one setting chosen by UAR on development data; intervals by resampling
persons. Valence and arousal: ridge regression or the same MLP, chosen by CCC.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emoca_tf.errors import UserError
from emoca_tf.io.npz import read_npz
from emoca_tf.metrics import Confusion, ccc, pcc, rmse, sagr

MLP: dict[str, Any] = {"hidden_layer_sizes": (256, 256), "max_iter": 40}
LOGREG_C = (0.001, 0.01, 0.1, 1.0)
MLP_ALPHA = (0.001, 0.1, 1.0)
RIDGE_ALPHA = (1.0, 10.0, 100.0, 1000.0)
MLP_SEEDS = (0, 1, 2)
MIN_DEV = 10  # classes with fewer development pictures do not take part in choosing
RESAMPLINGS = 1000


@dataclass(frozen=True)
class Split:
    """Features and labels of some pictures.

    Attributes:
        features: ``[N, D]``; NaN rows where the method found no face.
        expression: ``[N]`` class, -1 unknown.
        valence: ``[N]``, NaN unknown.
        arousal: ``[N]``, NaN unknown.
        groups: ``[N]`` persons for resampling; each picture its own if unknown.
    """

    features: np.ndarray
    expression: np.ndarray
    valence: np.ndarray
    arousal: np.ndarray
    groups: np.ndarray

    @property
    def found(self) -> np.ndarray:
        return np.isfinite(self.features).all(1)


def read_features(path: Path) -> dict[str, np.ndarray]:
    """Picture id -> vector, from an ``.npz`` with ``id [N]`` and ``feat [N, D]``.

    Raises:
        UserError: no such arrays, or of unequal length.
    """
    arrays = read_npz(path)
    if not {"id", "feat"} <= arrays.keys():
        raise UserError(f"{path}: arrays 'id' and 'feat' expected, found {', '.join(sorted(arrays)) or 'none'}")
    ids, feat = arrays["id"], arrays["feat"]
    if feat.ndim != 2 or len(ids) != len(feat):
        raise UserError(f"{path}: 'feat' must be [N, D] with one row an id; found {feat.shape} and {ids.shape}")
    return {str(name): row.astype(np.float64) for name, row in zip(ids, feat, strict=True)}


def split_of(source: Any, features: Mapping[str, np.ndarray], where: str, classes: int = 7) -> Split:
    """The pictures of a source with their features; pictures without features get NaN.

    Args:
        source: see :class:`training.datasets.source.Source`.
        features: picture id -> vector.
        where: for messages.
        classes: 8, or 7 to leave contempt out.

    Raises:
        UserError: no id in common.
    """
    ids = [str(name) for name in source.ids]
    known = [name for name in ids if name in features]
    if not known:
        raise UserError(f"{where}: none of its {len(ids)} pictures has features (ids such as {ids[0] if ids else '-'})")
    blank = np.full(len(features[known[0]]), np.nan)
    matrix = np.stack([features.get(name, blank) for name in ids])
    labels = source.labels
    keep = labels.expression < classes
    groups = np.arange(len(ids)) if source.persons is None else np.asarray(source.persons)
    return Split(matrix[keep], labels.expression[keep], labels.valence[keep], labels.arousal[keep], groups[keep])


class Probe:
    """A read-out fitted on training data, its setting chosen on development data.

    Args:
        kind: ``logreg`` or ``mlp``.
        train: to fit on.
        dev: to choose on.

    Raises:
        UserError: nothing to learn from.
    """

    def __init__(self, kind: str, train: Split, dev: Split) -> None:
        if kind not in ("logreg", "mlp"):
            raise UserError(f"probe {kind!r}: logreg or mlp expected")
        self.kind = kind
        found = train.found
        if found.sum() < 2:
            raise UserError("the training data have no pictures with features; check that the ids fit")
        self.mean = train.features[found].mean(0)
        self.deviation = np.where((d := train.features[found].std(0)) > 1e-9, d, 1.0)
        self.setting: dict[str, float] = {}
        self.classifier = self._classifier(train, dev)
        self.regressors = {name: self._regressor(name, train, dev) for name in ("valence", "arousal")}

    def standardised(self, features: np.ndarray) -> np.ndarray:
        return (features - self.mean) / self.deviation

    def classes(self, split: Split) -> np.ndarray | None:
        """``[N]`` predicted class, -2 where there are no features; None if no classes were learnt."""
        return None if self.classifier is None else _filled(split, self.standardised, self.classifier, -2)

    def values(self, name: str, split: Split) -> np.ndarray | None:
        """``[N]`` predicted valence or arousal; 0 where there are no features."""
        return None if self.regressors[name] is None else _filled(split, self.standardised, self.regressors[name], 0.0)

    def _classifier(self, train: Split, dev: Split) -> Any:
        rows = train.found & (train.expression >= 0)
        if len(np.unique(train.expression[rows])) < 2:
            return None
        x, y = self.standardised(train.features[rows]), train.expression[rows]
        fitted = {c: _fit_classes(self.kind, x, y, c) for c in (LOGREG_C if self.kind == "logreg" else MLP_ALPHA)}

        def dev_uar(setting: float) -> float:
            predicted = _filled(dev, self.standardised, fitted[setting], -2)
            recalls = [
                np.mean(predicted[dev.expression == k] == k) for k in range(8) if (dev.expression == k).sum() >= MIN_DEV
            ]
            return float(np.mean(recalls)) if recalls else 0.0

        self.setting["expression"] = max(fitted, key=dev_uar)
        return fitted[self.setting["expression"]]

    def _regressor(self, name: str, train: Split, dev: Split) -> Any:
        truth, dev_truth = getattr(train, name), getattr(dev, name)
        rows, dev_rows = train.found & np.isfinite(truth), dev.found & np.isfinite(dev_truth)
        if rows.sum() < 2:
            return None
        x, y = self.standardised(train.features[rows]), truth[rows]
        fitted = {a: _fit_values(self.kind, x, y, a) for a in (RIDGE_ALPHA if self.kind == "logreg" else MLP_ALPHA)}
        x = self.standardised(dev.features[dev_rows])

        def dev_ccc(setting: float) -> float:
            return ccc(dev_truth[dev_rows], fitted[setting](x)) if len(x) > 1 else 0.0

        self.setting[name] = max(fitted, key=dev_ccc)
        return fitted[self.setting[name]]


Predictor = Callable[[np.ndarray], np.ndarray]


def _filled(split: Split, standardised: Predictor, predict: Predictor, blank: float) -> np.ndarray:
    found = split.found
    out = np.full(len(found), blank, np.int64 if blank == -2 else np.float64)
    if found.any():
        out[found] = predict(standardised(split.features[found]))
    return out


def _fit_classes(kind: str, x: np.ndarray, y: np.ndarray, setting: float) -> Predictor:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the protocol bounds the iterations
        if kind == "logreg":
            model = LogisticRegression(C=setting, class_weight="balanced", max_iter=400, tol=1e-3).fit(x, y)
            return lambda values: np.asarray(model.predict(values))
        counts = np.bincount(y, minlength=8)
        weights = len(y) / ((counts > 0).sum() * counts[y])
        models = [
            MLPClassifier(**MLP, alpha=setting, batch_size=min(256, len(y)), random_state=seed).fit(x, y, weights)
            for seed in MLP_SEEDS
        ]
    return lambda values: models[0].classes_[np.mean([m.predict_proba(values) for m in models], 0).argmax(1)]


def _fit_values(kind: str, x: np.ndarray, y: np.ndarray, setting: float) -> Predictor:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import Ridge
    from sklearn.neural_network import MLPRegressor

    if kind == "logreg":
        model = Ridge(alpha=setting).fit(x, y)
        return lambda values: np.asarray(model.predict(values))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        models = [
            MLPRegressor(**MLP, alpha=setting, batch_size=min(256, len(y)), random_state=seed).fit(x, y)
            for seed in MLP_SEEDS
        ]
    return lambda values: np.asarray(np.mean([m.predict(values) for m in models], 0))


def class_measures(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Accuracy, UAR and macro-F1 over the classes present; a prediction of -2 (no face) is wrong."""
    present = np.unique(truth)
    confusion = Confusion(9).update(truth, np.where(predicted < 0, 8, predicted))
    matrix = confusion.matrix
    f1 = [2 * matrix[k, k] / max(matrix[k].sum() + matrix[:, k].sum(), 1) for k in present]
    return {"accuracy": confusion.accuracy(), "UAR": confusion.mean_recall(), "macro-F1": float(np.mean(f1))}


def value_measures(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """The paper's four measures of valence or arousal."""
    return {
        "PCC": pcc(truth, predicted),
        "CCC": ccc(truth, predicted),
        "RMSE": rmse(truth, predicted),
        "SAGR": sagr(truth, predicted),
    }


def interval(
    measure: Callable[[np.ndarray, np.ndarray], Mapping[str, float]],
    truth: np.ndarray,
    predicted: np.ndarray,
    groups: np.ndarray,
    seed: int = 0,
    resamplings: int = RESAMPLINGS,
) -> dict[str, tuple[float, float]]:
    """95 % percentile bootstrap intervals of every measure, resampling whole groups (persons)."""
    rng = np.random.default_rng(seed)
    order = np.argsort(groups, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
    drawn: dict[str, list[float]] = {}
    for _ in range(resamplings):
        rows = np.concatenate([members[k] for k in rng.integers(len(members), size=len(members))])
        for name, value in measure(truth[rows], predicted[rows]).items():
            drawn.setdefault(name, []).append(value)
    return {name: _percentiles(np.array(values)) for name, values in drawn.items()}


def _percentiles(values: np.ndarray) -> tuple[float, float]:
    """2.5 and 97.5; resamplings in which a measure does not exist (a constant has no correlation) do not count."""
    values = values[np.isfinite(values)]
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def measured(
    split: Split, classes: np.ndarray | None, values: Mapping[str, np.ndarray | None], resamplings: int = RESAMPLINGS
) -> list[tuple[str, str, float, tuple[float, float]]]:
    """Rows (label, measure, value, interval) of everything that has both truth and prediction."""
    rows = []
    known = split.expression >= 0
    if classes is not None and known.any():
        truth, predicted, groups = split.expression[known], classes[known], split.groups[known]
        bounds = interval(class_measures, truth, predicted, groups, resamplings=resamplings)
        rows += [("expression", name, value, bounds[name]) for name, value in class_measures(truth, predicted).items()]
    for label in ("valence", "arousal"):
        whole, prediction = getattr(split, label), values.get(label)
        known = np.isfinite(whole)
        if prediction is not None and known.sum() > 1:
            truth, predicted, groups = whole[known], prediction[known], split.groups[known]
            bounds = interval(value_measures, truth, predicted, groups, resamplings=resamplings)
            rows += [(label, name, value, bounds[name]) for name, value in value_measures(truth, predicted).items()]
    return rows


def table(rows: Sequence[tuple[str, str, float, tuple[float, float]]]) -> str:
    """The rows as Markdown."""
    lines = ["| label | measure | value | 95 % interval |", "|---|---|---|---|"]
    for label, name, value, (low, high) in rows:
        lines.append(f"| {label} | {name} | {value:.3f} | {low:.3f} .. {high:.3f} |")
    return "\n".join(lines)
