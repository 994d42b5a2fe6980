"""Quantisation-aware fine-tuning: the float network teaches its own 8-bit twin.

tfmot works with tf_keras only, so the network is built again there, takes the Keras 3 weights, learns with fake
quantisation in place to repeat the float outputs, and gives its weights back.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from convert.export import named_outputs
from convert.networks import Network
from convert.quiet import silent
from emoca_tf.errors import UserError

Progress = Callable[[int, int, float], None]


def finetuned(
    network: Network, images: np.ndarray, *, steps: int = 200, batch_size: int = 16, learning_rate: float = 1e-4,
    seed: int = 0, progress: Progress | None = None,
) -> Network:  # fmt: skip
    """The same network with weights that have learnt to live with rounding; an ordinary int8 conversion follows.

    The fine-tuned twin itself is not converted: from a tfmot graph the converter turns a ReLU with maximum 1 (the
    eyelids) into a constant.

    Args:
        network: the float reference; its weights are not changed.
        images: ``[N, 224, 224, 3]`` float32 in 0..1, what it learns on.
        steps: of the optimiser (Adam, cosine decay).
        batch_size: pictures a step.
        learning_rate: at the start.
        seed: order of the pictures.
        progress: called after every step with (done, total, loss).

    Raises:
        UserError: the network has no tf_keras twin.
    """
    import keras as keras3

    keras = legacy_keras()
    twin = build_twin(keras, network)
    aware = quantisation_aware(keras, twin)
    set_ranges(keras, aware, twin, images[: 4 * batch_size])
    _learn(aware, network, images, steps, batch_size, learning_rate, seed, progress)
    assert network.build is not None
    tuned = network.build(keras3)
    copy_weights(network.model, tuned)
    weights_back(aware, tuned)
    return replace(network, model=tuned)


def set_ranges(keras: Any, aware: Any, twin: Any, images: np.ndarray) -> None:
    """Start every observer at the range its layer really has; tfmot's -6..6 would fade only over thousands of steps."""
    outputs = {layer.name: layer.output for layer in twin.layers if not isinstance(layer, keras.layers.InputLayer)}
    seen = keras.Model(twin.inputs, outputs)(images, training=False)
    for wrapped in aware.layers:
        value = seen.get(getattr(getattr(wrapped, "layer", None), "name", ""))
        if value is None:
            continue
        for variable in wrapped.weights:
            kind = variable.name.split(":")[0].split("/")[-1]
            if kind in ("output_min", "post_activation_min"):
                variable.assign(min(float(np.min(value)), 0.0))
            elif kind in ("output_max", "post_activation_max"):
                variable.assign(max(float(np.max(value)), 1e-3))


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
    """Weights learnt under fake quantisation into a Keras 3 network of the same layers (tfmot wraps each layer)."""
    layers = {layer.name: layer for layer in model.layers}
    for wrapped in aware.layers:
        inner = getattr(wrapped, "layer", None)
        if inner is None or inner.name not in layers:
            continue
        target = layers[inner.name]
        if not target.weights:
            continue
        own = [v for v in wrapped.weights if v.name.startswith(f"{inner.name}/")]
        learnt = {v.name.split(":")[0].split("/")[-1].replace("depthwise_", ""): v.numpy() for v in own}
        target.set_weights([learnt[v.name] for v in target.weights])


def quantisation_aware(keras: Any, twin: Any) -> Any:
    """The twin with fake quantisation; clamps stay as they are."""
    from tensorflow_model_optimization.quantization.keras import quantize_annotate_layer, quantize_apply, quantize_scope

    passive = _passive_config()

    def annotate(layer: Any) -> Any:
        clamped = isinstance(layer, keras.layers.ReLU) and layer.max_value is not None
        if clamped or isinstance(layer, keras.layers.Rescaling):
            return quantize_annotate_layer(layer, passive())
        if isinstance(layer, keras.layers.InputLayer):
            return layer
        return quantize_annotate_layer(layer)

    with silent(), quantize_scope({"Passive": passive}):
        return quantize_apply(keras.models.clone_model(twin, clone_function=annotate))


def _passive_config() -> Any:
    from tensorflow_model_optimization.python.core.quantization.keras.default_8bit import (
        default_8bit_quantize_configs as configs,
    )

    return configs.NoOpQuantizeConfig


def _learn(aware: Any, network: Network, images: np.ndarray, steps: int, batch_size: int, learning_rate: float,
           seed: int, progress: Progress | None) -> None:  # fmt: skip
    """Mean squared difference of the outputs in units of their spread; batch norms keep their statistics."""
    import tensorflow as tf
    import tf_keras

    names = output_names(network)
    teacher = tf.function(lambda batch: named_outputs(network, network.model(batch, training=False)))
    targets = [{k: v.numpy() for k, v in teacher(tf.constant(images[i : i + 32])).items()}
               for i in range(0, len(images), 32)]  # fmt: skip
    truth = {name: np.concatenate([t[name] for t in targets]) for name in names}
    spread = {name: np.maximum(value.std(), 1e-3).astype(np.float32) for name, value in truth.items()}
    optimizer = tf_keras.optimizers.Adam(
        tf_keras.optimizers.schedules.CosineDecay(learning_rate, steps), global_clipnorm=1.0
    )
    freeze_statistics(aware)

    @tf.function
    def step(batch: Any, wanted: Any) -> Any:
        with tf.GradientTape() as tape:
            got = aware(batch, training=True)
            loss = tf.add_n([tf.reduce_mean(((g - w) / spread[n]) ** 2)
                             for n, g, w in zip(names, got, wanted, strict=True)])  # fmt: skip
        optimizer.apply_gradients(zip(tape.gradient(loss, aware.trainable_variables), aware.trainable_variables,
                                      strict=True))  # fmt: skip
        return loss

    for number, rows in enumerate(_orders(len(images), batch_size, steps, seed), 1):
        loss = step(tf.constant(images[rows]), [tf.constant(truth[name][rows]) for name in names])
        if progress is not None:
            progress(number, steps, float(loss))


def freeze_statistics(aware: Any) -> None:
    """Batch norms run on their stored statistics even in training mode."""
    import tf_keras

    for layer in aware.layers:
        inner = getattr(layer, "layer", layer)
        if isinstance(inner, tf_keras.layers.BatchNormalization):
            inner.trainable = False


def _orders(count: int, batch_size: int, steps: int, seed: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        yield rng.choice(count, min(batch_size, count), replace=False)
