"""Quantisation-aware fine-tuning: the float network teaches its own 8-bit twin.

tfmot works with tf_keras only, so the network is built again there, takes the Keras 3 weights, learns with fake
quantisation in place to repeat the float outputs, and gives its weights back. The fake quantisation is that of the
file (:mod:`convert.learned`), and the ranges that it learns are written into the file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from convert.export import Calibration, calibrated, named_outputs, nearest, quantised
from convert.learned import learnt_ranges, own_variables, plain, wrapped
from convert.networks import Network
from convert.outputs import FAINTEST
from convert.parity import reference_outputs
from convert.quiet import silent
from convert.ranges import Calibrated, Range, matched
from emoca_tf.errors import UserError

Progress = Callable[[int, int, float], None]
BATCH = 16  # pictures a step
MOVE = 8  # pixels that a picture is moved at most
SPREAD = 64  # pictures that tell how much an output varies
RANGE_RATE = 2e-2  # learning rate of the ranges, which learn as a share of what they were
CLIMB, RECENT = 3.0, 4  # times its start that the loss of the last so many steps may reach
ATTEMPTS, CALMER = 4, 0.25  # and what all rates are multiplied by where it does


def finetuned(
    network: Network, calibration: Calibration, images: np.ndarray, *, steps: int = 200, batch_size: int = BATCH,
    learning_rate: float = 1e-4, seed: int = 0, batch: int = 1, integer: bool = False, progress: Progress | None = None,
) -> bytes:  # fmt: skip
    """An 8-bit file of the network after fine-tuning, or without it where that is nearer on the calibration rows.

    The fine-tuned twin itself is not converted: from a tfmot graph the converter turns a ReLU with maximum 1 (the
    eyelids) into a constant.

    Args:
        network: the float reference; its weights are not changed.
        calibration: rows that the ranges start from.
        images: ``[N, 224, 224, 3]`` float32 in 0..1, what it learns on.
        steps: of the optimiser (Adam, cosine decay); what was tried with too high a rate comes on top.
        batch_size: pictures a step.
        learning_rate: at most; less for a network whose loss climbs with it.
        seed: order of the pictures.
        batch: static batch of the file.
        integer: inputs, outputs and linear layers are 8-bit, too.
        progress: called after every step with (done, total, loss); begins at 1 again where a rate was too high.

    Raises:
        UserError: the network has no tf_keras twin.
    """
    import keras as keras3

    keras = legacy_keras()
    recipe = "int8" if integer else "mixed"
    twin = build_twin(keras, network)
    start = calibrated(network, calibration, batch)
    ranges = {name: start.range(tensor) for name, tensor in rounded_tensors(network, start, images, integer).items()}
    aware = wrapped(keras, twin, ranges, linear=integer)
    _learn(aware, twin, network, images, steps, batch_size, learning_rate, seed, progress)
    assert network.build is not None
    model = network.build(keras3)
    copy_weights(network.model, model)
    weights_back(aware, model)
    if not all(np.isfinite(variable.numpy()).all() for variable in aware.trainable_variables):
        return quantised(start, recipe, integer)
    tuned = replace(network, model=model)
    file = with_learnt_ranges(tuned, calibrated(tuned, calibration, batch), images, learnt_ranges(aware))
    files = [quantised(one, recipe, integer) for one in (start, file)]
    return nearest(files, start.content, calibration())


def rounded_tensors(network: Network, file: Calibrated, images: np.ndarray, integer: bool) -> dict[str, int]:
    """Layer -> tensor of the file, of those that the file will hold in 8 bits."""
    left_out = set() if integer else file.behind_pooling()
    return {name: tensor for name, tensor in matched(network, file, images[0]).items() if tensor not in left_out}


def with_learnt_ranges(network: Network, file: Calibrated, images: np.ndarray, ranges: Mapping[str, Range]
                       ) -> Calibrated:  # fmt: skip
    """The calibrated file with the ranges that its layers have learnt."""
    tensors = matched(network, file, images[0])
    return file.with_ranges({tensors[name]: ends for name, ends in ranges.items() if name in tensors})


def legacy_keras() -> Any:
    """tf_keras, without letting tfmot's import change what ``tf.keras`` means for others."""
    before = os.environ.get("TF_USE_LEGACY_KERAS")
    with silent():
        import tensorflow_model_optimization  # noqa: F401
        import tf_keras
    if before is None:
        os.environ.pop("TF_USE_LEGACY_KERAS", None)
    return tf_keras


def output_names(network: Network) -> list[str]:
    """Names of the outputs, sorted (the order of the twin's list of outputs)."""
    return sorted(named_outputs(network, network.model.output))


def build_twin(keras: Any, network: Network) -> Any:
    """The same network in tf_keras with the same weights and a list of outputs (tfmot knows no dictionaries).

    Raises:
        UserError: the network has no builder.
    """
    if network.build is None:
        raise UserError(f"{network.name} has no tf_keras twin, so it cannot be fine-tuned; use another recipe")
    built = network.build(keras)
    outputs = named_outputs(network, built.output)
    twin = keras.Model(built.inputs, [outputs[name] for name in output_names(network)], name=network.name)
    copy_weights(network.model, twin)
    return twin


def copy_weights(source: Any, target: Any) -> None:
    """Weights by layer name from a Keras 3 model to its tf_keras twin, or back."""
    layers = {layer.name: layer for layer in target.layers}
    for layer in source.layers:
        if layer.weights:
            layers[layer.name].set_weights(layer.get_weights())


def weights_back(aware: Any, model: Any) -> None:
    """Weights learnt under fake quantisation into a Keras 3 network of the same layers."""
    layers = {layer.name: layer for layer in model.layers}
    for wrapper in aware.layers:
        inner = plain(wrapper)
        if inner.name not in layers or not layers[inner.name].weights:
            continue
        learnt = {name.replace("depthwise_", ""): v.numpy() for name, v in own_variables(wrapper).items()}
        layers[inner.name].set_weights([learnt[v.name] for v in layers[inner.name].weights])


def _learn(aware: Any, twin: Any, network: Network, images: np.ndarray, steps: int, batch_size: int,
           learning_rate: float, seed: int, progress: Progress | None) -> None:  # fmt: skip
    """Mean squared difference of the outputs in units of their spread; batch norms keep their statistics.

    The float twin tells what it says about every picture as it is shown, so that no two steps show the same. What a
    network bears differs more than tenfold: where the loss climbs, it starts anew with a fraction of all rates, three
    times at most.
    """
    variables = _learnable(aware)
    start = [[variable.numpy() for variable in group] for group in variables]
    truth = reference_outputs(network, {"image": images[:SPREAD]})
    spread = {name: np.maximum(truth[name].std(), FAINTEST).astype(np.float32) for name in output_names(network)}
    for attempt in range(ATTEMPTS):
        rates = [rate * CALMER**attempt for rate in (learning_rate, RANGE_RATE)]
        step = _stepper(aware, variables, spread, rates, steps)
        losses: list[float] = []
        rng = np.random.default_rng(seed)
        for number, rows in enumerate(_orders(len(images), batch_size, steps, seed), 1):
            shown = varied(images[rows], rng)
            wanted = listed(twin(shown, training=False))  # as a graph of its own, TensorFlow logs a failed optimisation
            losses.append(float(step(shown, wanted)))
            if progress is not None:
                progress(number, steps, losses[-1])
            if climbs(losses) and attempt < ATTEMPTS - 1:
                break
        else:
            return
        for group, values in zip(variables, start, strict=True):
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)


def climbs(losses: Sequence[float]) -> bool:
    """Whether the last losses are far above the first two, which are from before the first change."""
    return len(losses) > RECENT and not np.mean(losses[-RECENT:]) <= CLIMB * np.mean(losses[:2])  # NaN climbs, too


def _stepper(aware: Any, variables: Sequence[list[Any]], spread: Mapping[str, np.ndarray], rates: Sequence[float],
             steps: int) -> Any:  # fmt: skip
    """A function of pictures and wanted outputs that makes one step and returns the loss before it."""
    import tensorflow as tf
    import tf_keras

    warm = max(steps // 10, 1)  # Adam's first steps are as large as its largest
    schedules = [tf_keras.optimizers.schedules.CosineDecay(0.0, max(steps - warm, 1), warmup_target=rate,
                                                           warmup_steps=warm) for rate in rates]  # fmt: skip
    optimizers = [tf_keras.optimizers.Adam(schedule, global_clipnorm=1.0) for schedule in schedules]

    @tf.function
    def step(batch: Any, wanted: Any) -> Any:
        with tf.GradientTape() as tape:
            got = listed(aware(batch, training=False))
            loss = tf.add_n([tf.reduce_mean(((g - w) / s) ** 2)
                             for s, g, w in zip(spread.values(), got, wanted, strict=True)])  # fmt: skip
        gradients = tape.gradient(loss, list(variables))
        for optimizer, group, own in zip(optimizers, gradients, variables, strict=True):
            optimizer.apply_gradients(zip(group, own, strict=True))
        return loss

    return lambda shown, wanted: step(tf.constant(shown), wanted)


def listed(values: Any) -> list[Any]:
    """Outputs as a list, also where a model has only one."""
    return list(values) if isinstance(values, list | tuple) else [values]


def varied(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Crops ``[B, 224, 224, 3]`` mirrored or not, moved, and lighter or darker; pictures of 8 bits as a phone has."""
    result = np.empty_like(images)
    for out, image in zip(result, images, strict=True):
        moved = np.pad(image, ((MOVE, MOVE), (MOVE, MOVE), (0, 0)), mode="edge")
        y, x = rng.integers(0, 2 * MOVE + 1, 2)
        moved = moved[y : y + len(image), x : x + image.shape[1], :]
        out[:] = moved[:, :: rng.choice((-1, 1))] * rng.uniform(0.8, 1.2)
    return np.round(result.clip(0, 1) * 255) / np.float32(255)


def _learnable(aware: Any) -> tuple[list[Any], list[Any]]:
    """Weights of the network, and ends of ranges."""
    ends = {id(v) for layer in aware.layers for v in getattr(layer, "_output_quantizer_vars", {}).values()}
    unique = {id(v): v for v in aware.trainable_variables}
    return [v for key, v in unique.items() if key not in ends], [v for key, v in unique.items() if key in ends]


def _orders(count: int, batch_size: int, steps: int, seed: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        yield rng.choice(count, min(batch_size, count), replace=False)
