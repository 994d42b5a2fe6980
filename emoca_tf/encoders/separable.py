"""A trunk of separable convolutions that starts from a network which already reads faces, for the phone-sized encoders.

Four blocks of summed separable convolutions (the published structure of face-api.js's expression network, ReLU and no
batch norm), and views of their last maps: the mean of every channel, which tells *what* there is, and two narrow maps
laid out flat, which tell *where*: the last one, and the one before, whose cells are half as wide. Means alone hardly
tell where: encoders that pool only learn geometry slowly. Two dense layers over all views add to the features; they
start at zero.
Our own addition beside SMIRK's MobileNetV3 (:mod:`emoca_tf.encoders.mobilenet_v3`); the heads are the same.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

MARGIN = 16
"""Pixels of the 224 crop that are left out on every side; faces then are about as large as the start was trained on."""
SIDE = 112
"""What is left is seen at this size."""
MEAN_RGB = (122.782, 117.001, 104.298)
WIDTHS = (32, 64, 128, 256)
PLACES = 48  # channels of the map that is laid out flat
PLACE_FEATURES = 192
FEATURES = WIDTHS[-1] + PLACE_FEATURES
LENGTH = 4
"""Convolutions of a block."""
FINE, FINE_FEATURES = 16, 64
"""The same of the map before, which is twice as high and wide."""
ADDED = 256
"""Width of the dense layers whose result is added."""


def separable_blocks(keras: ModuleType, image: Any, margin: int, prefix: str = "") -> list[Any]:
    """Image ``[B, 224, 224, 3]`` RGB 0..1 -> the last map of each block, ``[B, 56, 56, 32]`` to ``[B, 7, 7, 256]``.

    Args:
        keras: the Keras module to build with.
        image: symbolic image.
        margin: pixels left out on every side.
        prefix: put before the names of all layers.
    """
    layers = keras.layers
    x = layers.Cropping2D(margin, name=f"{prefix}middle")(image)
    x = layers.Resizing(SIDE, SIDE, name=f"{prefix}shrink")(x)
    mean = [value / 255 for value in MEAN_RGB]
    x = layers.Normalization(mean=mean, variance=[1.0] * 3, name=f"{prefix}normalise")(x)
    maps = []
    for block, width in enumerate(WIDTHS):
        x = _dense_block(keras, x, width, f"{prefix}dense{block}", first=block == 0)
        maps.append(x)
    return maps


def _dense_block(keras: ModuleType, x: Any, width: int, name: str, first: bool) -> Any:
    """Convolutions; each sees the rectified sum of all outputs before it, the first halves the resolution."""
    layers = keras.layers

    def separable(x: Any, index: int, strides: int = 1) -> Any:
        conv = f"{name}.conv{index}"
        x = layers.DepthwiseConv2D(3, strides, padding="same", use_bias=False, name=f"{conv}.depthwise")(x)
        return layers.Conv2D(width, 1, name=f"{conv}.pointwise")(x)

    x = layers.Conv2D(width, 3, 2, padding="same", name=f"{name}.conv0")(x) if first else separable(x, 0, strides=2)
    x = layers.ReLU(name=f"{name}.conv0.relu")(x)
    total = x
    for index in range(1, LENGTH):
        total = layers.Add(name=f"{name}.sum{index}")([total, separable(x, index)])
        x = layers.ReLU(name=f"{name}.sum{index}.relu")(total)
    return x


def separable_trunk(keras: ModuleType, image: Any, prefix: str = "encoder.") -> Any:
    """Image ``[B, 224, 224, 3]`` RGB 0..1 -> features ``[B, 448]``: 256 means, 192 that know places, and what is added.

    Args:
        keras: the Keras module to build with.
        image: symbolic image.
        prefix: put before the names of all layers.
    """
    layers = keras.layers
    maps = separable_blocks(keras, image, MARGIN, prefix)
    means = layers.GlobalAveragePooling2D(name=f"{prefix}mean")(maps[-1])
    places = _places(keras, maps[-1], PLACES, PLACE_FEATURES, prefix, "place")
    views = layers.Concatenate(name=f"{prefix}views")([means, places])
    return added(keras, views, _places(keras, maps[-2], FINE, FINE_FEATURES, prefix, "fine"), prefix)


def _places(keras: ModuleType, x: Any, channels: int, features: int, prefix: str, name: str) -> Any:
    """A map, narrowed and laid out flat -> ``[B, features]``; not rectified: so many inputs can silence a rectifier."""
    layers, prefix = keras.layers, f"{prefix}{name}"
    x = layers.Conv2D(channels, 1, activation="relu", kernel_initializer="he_normal", name=f"{prefix}.0")(x)
    x = layers.Flatten(name=f"{prefix}.flat")(x)
    return layers.Dense(features, name=f"{prefix}.1")(x)


def added(keras: ModuleType, views: Any, fine: Any, prefix: str = "encoder.") -> Any:
    """Features ``[B, 448]`` -> the same and what two dense layers make of them and of finer places ``[B, 64]``."""
    layers = keras.layers
    x = layers.Concatenate(name=f"{prefix}all")([views, fine])
    x = layers.Dense(ADDED, activation="relu", kernel_initializer="he_normal", name=f"{prefix}added.0")(x)
    x = layers.Dense(FEATURES, kernel_initializer="zeros", name=f"{prefix}added.1")(x)
    return layers.Add(name=f"{prefix}pool")([views, x])
