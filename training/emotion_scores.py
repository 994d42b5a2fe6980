"""How well emotions can be read from a description of faces: extraction and read-outs on labelled real pictures.

The protocol is that of :mod:`training.probe`: a small read-out is trained on the features of the training pictures and
measured on the development pictures of the same data set; a picture without features counts as wrong. Data sets lie in
one folder and are left out where their files are missing:

| name | training pictures | development pictures |
|---|---|---|
| ``mux`` | ``faces_real/mux_train`` | ``faces_real/mux_dev`` (crops with landmarks) |
| ``fer`` | ``fer2013/fer_train.npz`` | ``fer2013/fer_dev.npz`` (48 x 48 grey, the picture is the crop) |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tensorflow as tf

from emoca_tf.emotion.recognition import EXPRESSIONS
from emoca_tf.errors import UserError
from emoca_tf.faces.crop import CROP_SIZE, crop_from_landmarks
from training.datasets.packed import Mosaics, Packed
from training.datasets.source import Source
from training.inputs import Subset
from training.probe import MIN_DEV, Probe, Split, split_of

CLASSES = 7  # contempt has next to no pictures
BATCH = 64
Features = dict[str, np.ndarray]
Describe = Callable[[tf.Tensor], tf.Tensor]
"""``[B, 224, 224, 3]`` RGB 0..1 -> ``[B, D]``."""


@dataclass(frozen=True)
class Corpus:
    """One labelled data set: its name, its training and its development pictures."""

    name: str
    train: Source
    dev: Source


def corpora(folder: Path, train_limit: int = 0) -> list[Corpus]:
    """The data sets that lie in a folder.

    Args:
        folder: see the module.
        train_limit: train read-outs on at most so many pictures of a data set, evenly picked; 0 is all.

    Raises:
        UserError: none of them is there.
    """
    found = []
    real, small = folder / "faces_real", folder / "fer2013"
    if (real / "mux_dev_jpeg.npz").is_file():
        found.append(Corpus("mux", Packed(real / "mux_train"), Packed(real / "mux_dev")))
    if (small / "fer_dev.npz").is_file():
        files = (small / "fer_train.npz", small / "fer_dev.npz")
        found.append(Corpus("fer", *(Mosaics(file, faces_only=False) for file in files)))
    if not found:
        raise UserError(f"{folder} holds neither faces_real/mux_*_jpeg.npz nor fer2013/fer_*.npz")
    return [Corpus(c.name, _thinned(c.train, train_limit), c.dev) for c in found]


def _thinned(source: Source, limit: int) -> Source:
    if not limit or len(source) <= limit:
        return source
    return Subset(source, np.linspace(0, len(source) - 1, limit).round().astype(int))


def picture(source: Source, index: int) -> np.ndarray:
    """The picture as an encoder sees it: ``[224, 224, 3]`` uint8.

    With landmarks it is the encoders' crop. Without, it is the source's whole picture, enlarged with cubic
    interpolation.
    """
    example = source.example(index, np.random.default_rng(0))
    image, size = example["image"], (CROP_SIZE, CROP_SIZE)
    if "landmarks" in example:
        return cv2.warpAffine(image, crop_from_landmarks(example["landmarks"]).matrix[:2], size)
    return cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)


def extract(describe: Describe, source: Source, words: str, batch: int = BATCH) -> Features:
    """Picture id -> features of every picture of a source, with a bar.

    Args:
        describe: the network.
        source: the pictures.
        words: for the bar.
        batch: pictures at a time.
    """
    from tqdm import tqdm

    network = tf.function(describe, input_signature=[tf.TensorSpec([None, CROP_SIZE, CROP_SIZE, 3], tf.float32)])
    rows: Features = {}
    with tqdm(total=len(source), desc=words, unit="face", leave=False) as bar:
        for start in range(0, len(source), batch):
            places = range(start, min(start + batch, len(source)))
            images = np.stack([picture(source, place) for place in places])
            features = network(tf.constant(images, tf.float32) / 255).numpy()
            rows.update(zip((str(source.ids[place]) for place in places), features, strict=True))
            bar.update(len(places))
    return rows


@dataclass(frozen=True)
class Score:
    """What a read-out reaches on development pictures.

    Attributes:
        corpus: name of the data set.
        readout: ``logreg``, ``mlp``, or ``as is`` for a network's own classes.
        setting: C or alpha, chosen on these very pictures; NaN where nothing was chosen.
        accuracy: share of right ones.
        uar: mean recall over the classes with at least 10 pictures.
        recall: by class; NaN where there is no picture.
        missing: pictures without features; they count as wrong.
        pictures: how many were measured.
    """

    corpus: str
    readout: str
    setting: float
    accuracy: float
    uar: float
    recall: Mapping[str, float]
    missing: int
    pictures: int


def score(corpus: Corpus, train: Features, dev: Features, readout: str = "logreg") -> Score:
    """Train a read-out on features of the training pictures and measure it on the development pictures.

    Args:
        corpus: gives the labels.
        train: picture id -> features; pictures without are left out.
        dev: picture id -> features; pictures without are wrong.
        readout: ``logreg`` or ``mlp``.

    Raises:
        UserError: ids that do not fit.
    """
    seen = split_of(corpus.dev, dev, f"{corpus.name} dev", CLASSES)
    probe = Probe(readout, split_of(corpus.train, train, f"{corpus.name} train", CLASSES), seen)
    predicted = probe.classes(seen)
    assert predicted is not None  # the corpora are labelled
    return scored(corpus.name, readout, seen, predicted, probe.setting["expression"])


def score_as_is(corpus: Corpus, logits: Features) -> Score:
    """A network's own classes on the development pictures; contempt cannot be chosen."""
    seen = split_of(corpus.dev, logits, f"{corpus.name} dev", CLASSES)
    predicted = np.where(seen.found, np.nan_to_num(seen.features[:, :CLASSES]).argmax(1), -2)
    return scored(corpus.name, "as is", seen, predicted, float("nan"))


def scored(name: str, readout: str, split: Split, predicted: np.ndarray, setting: float) -> Score:
    """Measures of predicted classes; -2 is no face."""
    known = split.expression >= 0
    truth, predicted = split.expression[known], predicted[known]
    counts = np.bincount(truth, minlength=CLASSES)
    hits = np.bincount(truth[truth == predicted], minlength=CLASSES)
    recall = np.where(counts > 0, hits / np.maximum(counts, 1), np.nan)
    return Score(
        name, readout, setting, float(hits.sum() / counts.sum()), float(recall[counts >= MIN_DEV].mean()),
        dict(zip(EXPRESSIONS[:CLASSES], map(float, recall), strict=True)), int((predicted == -2).sum()), len(truth),
    )  # fmt: skip


def describe_scores(describe: Describe, sets: Sequence[Corpus], readouts: Sequence[str] = ("logreg",)) -> list[Score]:
    """Extract and measure: everything in one call, for use on checkpoints.

    Args:
        describe: pictures to features.
        sets: of :func:`corpora`.
        readouts: ``logreg``, ``mlp``.
    """
    scores = []
    for corpus in sets:
        train, dev = (
            extract(describe, source, f"{corpus.name} {part}")
            for part, source in (("train", corpus.train), ("dev", corpus.dev))
        )
        scores += [score(corpus, train, dev, readout) for readout in readouts]
    return scores


def table(rows: Sequence[tuple[str, Score]]) -> str:
    """Markdown of (name of the features, score)."""
    head = ["features", "data", "read-out", "C / alpha", "accuracy", "UAR", *EXPRESSIONS[:CLASSES], "no face"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name, one in rows:
        setting = "-" if np.isnan(one.setting) else f"{one.setting:g}"
        cells = [name, one.corpus, one.readout, setting, f"{one.accuracy:.3f}", f"{one.uar:.3f}"]
        cells += ["-" if np.isnan(value) else f"{value:.2f}" for value in one.recall.values()]
        lines.append("| " + " | ".join([*cells, f"{one.missing} of {one.pictures}"]) + " |")
    return "\n".join(lines)
