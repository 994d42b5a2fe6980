"""A mobile trio that is not trained but not degenerate either: seeded, batch norms adapted to faces, outputs spread."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from convert.data import calibration
from convert.decoders import readout_network
from convert.export import CALIBRATED, convert
from convert.networks import Network, Source
from emoca_tf.emotion.readout import readout_mlp
from emoca_tf.encoders.mobilenet_v3 import expression_head
from emoca_tf.flame.head import HeadModel
from emoca_tf.io.npz import write_npz
from emoca_tf.weights.torch_layout import to_state

FACES = 24


@cache
def head() -> HeadModel:
    return HeadModel.load()


@cache
def face_images(count: int = FACES, seed: int = 5) -> np.ndarray:
    """``[count, 224, 224, 3]`` float32 synthetic crops."""
    from convert.data import load_faces

    return load_faces("synthetic", count, seed).images


def adapt(model: Any, images: np.ndarray, rounds: int = 4) -> None:
    """Batch-norm statistics of these images, layer after layer, by running in training mode."""
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in norms:
        layer.momentum = 0.0
    for _ in range(rounds):
        model(images, training=True)
    for layer in norms:
        layer.momentum = 0.9


def spread(model: Any, images: np.ndarray, size: float = 0.4) -> None:
    """Scale the linear heads so that every output varies by about ``size`` over the images."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense):
            values = np.asarray(keras.Model(model.input, layer.output)(images, training=False))
            kernel, bias = layer.get_weights()
            factor = size / max(float(values.std(0).mean()), 1e-9)
            layer.set_weights([kernel * factor, bias - (values.mean(0) - bias) * factor])


def tiny_trunk(module: Any) -> tuple[Any, Any]:
    """Image and features of a small network with the mobile trunk's kinds of layers; converts in a second.

    No stride is larger than its kernel: XNNPACK of TensorFlow Lite 2.21 gives zeros for such convolutions.
    """
    layers = module.layers
    image = x = module.Input((224, 224, 3), name="image")
    for number, (width, stride) in enumerate(((12, 4), (24, 2), (32, 2))):
        if number:
            x = layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False, name=f"dw{number}")(x)
            x = layers.BatchNormalization(name=f"dw{number}.bn")(x)
            x = layers.ReLU(name=f"dw{number}.act")(x)
        kernel, step = (5, stride) if not number else (1, 1)
        x = layers.Conv2D(width, kernel, strides=step, padding="same", use_bias=False, name=f"pw{number}")(x)
        x = layers.BatchNormalization(name=f"pw{number}.bn")(x)
        x = layers.ReLU(name=f"pw{number}.act")(x)
    return image, layers.GlobalAveragePooling2D(name="pool")(x)


def tiny_encoder(module: Any) -> Any:
    """:func:`tiny_trunk` with the expression encoder's outputs."""
    image, x = tiny_trunk(module)
    return module.Model(image, expression_head(module, x), name="expression_encoder")


@cache
def tiny_network() -> Network:
    """:func:`tiny_encoder`, adapted to faces, as the network ``expression``."""
    keras.utils.set_random_seed(12)
    model = tiny_encoder(keras)
    adapt(model, face_images())
    spread(model, face_images())
    axes = {"exp": head().expression_names}
    return Network("expression", model, "encoder", build=tiny_encoder, axes=axes)


@cache
def tiny_source() -> Source:
    """A whole set of tiny networks, pose and shape on one trunk; the camera looks at the head.

    Every process draws the same weights: tests compare their networks with a bundle that another process wrote.
    """
    keras.utils.set_random_seed(14)
    image, x = tiny_trunk(keras)
    sizes = {"global": 3, "cam": 3, "shape": 100, "tex": 50, "light": 27}
    outputs = {key: keras.layers.Dense(size, name=f"out.{key}")(x) for key, size in sizes.items()}
    model = keras.Model(image, outputs, name="pose_shape")
    adapt(model, face_images())
    spread(model, face_images(), 0.1)
    camera = model.get_layer("out.cam")
    camera.set_weights([camera.get_weights()[0] * 0, np.array([9.0, 0, 0], np.float32)])
    found = {"expression": tiny_network(), "pose_shape": Network("pose_shape", model, "encoder")}
    found["readout"] = tiny_readout()
    return Source("mobilenet_v3", found, head(), "tiny test networks")


@cache
def tiny_readout() -> Network:
    """A read-out of expression and jaw whose answer depends on them."""
    keras.utils.set_random_seed(13)
    mlp = readout_mlp(keras, 53, 16, 2, name="readout")
    adapt(mlp, np.random.default_rng(3).normal(0, 0.4, (64, 53)).astype(np.float32))
    return readout_network(mlp, head())


@cache
def _content(name: str, recipe: str) -> bytes:
    network = _KNOWN[name]
    measured = (*CALIBRATED, "part-dynamic")
    rows = calibration({"image": face_images()[:8]}) if recipe in measured else None
    return convert(network, recipe, rows)


_KNOWN: dict[str, Network] = {}


def converted(network: Network, recipe: str, *_: Any) -> bytes:
    """Like :func:`convert.export.convert`, once for a name and recipe: conversions are what these tests wait for."""
    _KNOWN.setdefault(network.name, network)
    return _content(network.name, recipe)


@cache
def networks() -> dict[str, Any]:
    """The three encoders by the names of a training run."""
    from training.networks import Reconstruction

    keras.utils.set_random_seed(11)
    models = Reconstruction("mobilenet_v3", head()).models
    for name in ("expression_encoder", "pose_encoder", "shape_encoder"):
        adapt(models[name], face_images())
    spread(models["expression_encoder"], face_images())
    return models


def write_weights(path: Path) -> Path:
    """The trio as a weights file by torch names."""
    state = {f"{name}.{key}": value for name, model in networks().items() for key, value in to_state(model).items()}
    write_npz(path, state)
    return path


def write_tiny_bundle(folder: Path) -> None:
    """A bundle of :func:`tiny_source`, every network in float32."""
    from convert.bundle import write_bundle
    from convert.collection import collect
    from convert.jobs import Settings, Workshop

    workshop = Workshop(tiny_source(), Settings(judge_count=4, calibration_count=4))
    networks = collect(workshop.source)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("convert.jobs.convert", converted)
        kept = {name: workshop.make(network, "float32") for name, network in networks.items()}
    assert [name for name, result in kept.items() if not result.passed] == []
    write_bundle(folder, workshop, kept, networks)
