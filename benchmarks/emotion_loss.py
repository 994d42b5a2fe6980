"""What the emotion loss sees as an expression grows: distance of the rendering's emotion features from the photo's.

Run: ``python benchmarks/emotion_loss.py --weights mobile --data packed:/data/mux_dev``

The expression of every photograph, as the encoder gives it, is multiplied by each of ``--scales`` and kept to the
head's range (at 0 the jaw is shut too); the head is drawn over the photo, as in the coarse stage, and looked at by the
embedded emotion network. For every class: the mean squared distance of the features (what the loss is), and the
probability that the network gives the class in the rendering. A loss that makes sense is larger for the face without
expression than for the right one; where it is flat it teaches nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click
import numpy as np

from emoca_tf.cli import run
from emoca_tf.emotion.recognition import EXPRESSIONS
from emoca_tf.errors import UserError


def scaled(codes: Any, scale: float, limits: tuple[float, float] | None) -> Any:
    """Codes with ``scale`` times the expression, within the limits; the jaw stays, but for 0."""
    import tensorflow as tf

    exp = codes.exp * scale
    return codes.replace(
        exp=exp if limits is None else tf.clip_by_value(exp, *limits),
        pose=tf.concat([codes.pose[:, :3], codes.pose[:, 3:] * float(scale > 0)], 1),
        eyelid=None,
    )


def measure(
    mobile: Any, batch: dict[str, Any], scene: Any, network: Any, scales: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """``[S, B]`` distances and ``[S + 1, B, 8]`` probabilities: of the renderings, then of the photo."""
    import tensorflow as tf

    from training.scene import composite_mask

    image = batch["image"]
    photo = network(image, training=False)
    codes, distances, probabilities = mobile.encode(image), [], []
    for scale in scales:
        view = scene.decode(scaled(codes, scale, scene.model.exp_limits))
        mask = composite_mask(view.rendered, batch["mask"], "intersection")
        seen = network(view.rendered.image * mask + image * (1 - mask), training=False)
        distances.append(tf.reduce_mean((seen["features"] - photo["features"]) ** 2, 1).numpy())
        probabilities.append(tf.nn.softmax(seen["expression"]).numpy())
    probabilities.append(tf.nn.softmax(photo["expression"]).numpy())
    return np.stack(distances), np.stack(probabilities)


@click.command(help=__doc__)
@click.option("--weights", default="mobile", show_default=True, help="Preset, .npz or run directory.")
@click.option("--data", required=True, help="kind:path of labelled photographs.")
@click.option("--limit", default=800, show_default=True, help="Photographs.")
@click.option("--scales", default="0,0.5,1,1.5", show_default=True, help="Factors of the expression.")
def main(weights: str, data: str, limit: int, scales: str) -> None:
    import keras

    from emoca_tf.emotion.default import load_default
    from emoca_tf.flame.head import HeadModel
    from training.config import Config
    from training.evaluate import pictures
    from training.inputs import open_source
    from training.scene import Scene
    from training.trained import load_mobile

    try:
        factors = [float(factor) for factor in scales.split(",")]
    except ValueError:
        raise UserError(f"--scales {scales}: numbers with commas between them are wanted, such as 0,1,1.5") from None
    scene, network = Scene(), load_default(keras)
    mobile = load_mobile([weights], HeadModel.load()).mobile
    rows = []
    for batch in pictures(open_source(data, Config(), 0), limit, "photographs"):
        rows.append((batch["expression"].numpy(), *measure(mobile, batch, scene, network, factors)))
    if not rows:
        raise UserError(f"{data} holds no pictures")
    labels = np.concatenate([row[0] for row in rows])
    distance, probability = (np.concatenate([row[k] for row in rows], 1) for k in (1, 2))
    head = " | ".join(f"x {scale:g}" for scale in factors)
    print(f"\n| class | pictures | distance: {head} | probability: {head} | in the photo |")
    print("|---" * (3 + 2 * len(factors)) + "|")
    for index, name in enumerate(EXPRESSIONS):
        own = labels == index
        if own.any():
            far = " | ".join(f"{value:.2f}" for value in distance[:, own].mean(1))
            likely = " | ".join(f"{value:.2f}" for value in probability[:, own, index].mean(1))
            print(f"| {name} | {int(own.sum())} | {far} | {likely} |")


if __name__ == "__main__":
    sys.exit(run(main, "emotion_loss"))
