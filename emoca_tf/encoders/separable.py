"""A trunk of separable convolutions that starts from a network which already reads faces, for the phone-sized encoders.

Four blocks of summed separable convolutions (the published structure of face-api.js's expression network, ReLU and no
batch norm), and two views of their last map: the mean of every channel, which tells *what* there is, and a narrow map
laid out flat, which tells *where*. Means alone hardly tell where: encoders that pool only learn geometry slowly.
Our own addition beside SMIRK's MobileNetV3 (:mod:`emoca_tf.encoders.mobilenet_v3`); the heads are the same.

The long trunk has more convolutions in its last two blocks, and two dense layers behind the views whose result is
added. What it has more starts at zero: it begins as the short trunk, and goes on from a short trunk's weights.
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
LENGTHS = (4, 4, 4, 4)
"""Convolutions of each block, as published."""
LONGER = (4, 4, 7, 8)
"""The same of the long trunk: where pictures are small, more of them cost little."""
TRUNKS: dict[str, tuple[int, ...]] = {"separable": LENGTHS, "separable_long": LONGER}
"""Convolutions by the trunk's name."""
MORE = ("encoder.dense[23].conv[4-7].*", "encoder.added.*")
"""Patterns of the entries that only the long trunk has (``load_state(..., optional=MORE)``)."""


def separable_blocks(
    keras: ModuleType, image: Any, margin: int, prefix: str = "", lengths: tuple[int, ...] = LENGTHS
) -> Any:
    """Image ``[B, 224, 224, 3]`` RGB 0..1 -> the last map ``[B, 7, 7, 256]``.

    Args:
        keras: the Keras module to build with.
        image: symbolic image.
        margin: pixels left out on every side.
        prefix: put before the names of all layers.
        lengths: convolutions of each block.
    """
    layers = keras.layers
    x = layers.Cropping2D(margin, name=f"{prefix}middle")(image)
    x = layers.Resizing(SIDE, SIDE, name=f"{prefix}shrink")(x)
    mean = [value / 255 for value in MEAN_RGB]
    x = layers.Normalization(mean=mean, variance=[1.0] * 3, name=f"{prefix}normalise")(x)
    for block, (width, length) in enumerate(zip(WIDTHS, lengths, strict=True)):
        x = _dense_block(keras, x, width, length, f"{prefix}dense{block}", first=block == 0)
    return x


def _dense_block(keras: ModuleType, x: Any, width: int, length: int, name: str, first: bool) -> Any:
    """Convolutions; each sees the rectified sum of all outputs before it, the first halves the resolution.

    Those that the published network does not have start at zero.
    """
    layers = keras.layers

    def separable(x: Any, index: int, strides: int = 1) -> Any:
        conv, start = f"{name}.conv{index}", "glorot_uniform" if index < LENGTHS[0] else "zeros"
        x = layers.DepthwiseConv2D(3, strides, padding="same", use_bias=False, name=f"{conv}.depthwise")(x)
        return layers.Conv2D(width, 1, kernel_initializer=start, name=f"{conv}.pointwise")(x)

    x = layers.Conv2D(width, 3, 2, padding="same", name=f"{name}.conv0")(x) if first else separable(x, 0, strides=2)
    x = layers.ReLU(name=f"{name}.conv0.relu")(x)
    total = x
    for index in range(1, length):
        total = layers.Add(name=f"{name}.sum{index}")([total, separable(x, index)])
        x = layers.ReLU(name=f"{name}.sum{index}.relu")(total)
    return x


def separable_trunk(keras: ModuleType, image: Any, prefix: str = "encoder.", trunk: str = "separable") -> Any:
    """Image ``[B, 224, 224, 3]`` RGB 0..1 -> features ``[B, 448]``: 256 means, then 192 that know places.

    Args:
        keras: the Keras module to build with.
        image: symbolic image.
        prefix: put before the names of all layers.
        trunk: one of :data:`TRUNKS`; the long one adds something to the features.
    """
    layers, long = keras.layers, trunk == "separable_long"
    x = separable_blocks(keras, image, MARGIN, prefix, TRUNKS[trunk])
    means = layers.GlobalAveragePooling2D(name=f"{prefix}mean")(x)
    places = layers.Conv2D(PLACES, 1, activation="relu", kernel_initializer="he_normal", name=f"{prefix}place.0")(x)
    places = layers.Flatten(name=f"{prefix}flat")(places)
    places = layers.Dense(PLACE_FEATURES, activation="relu", kernel_initializer="he_normal", name=f"{prefix}place.1")(
        places
    )
    views = layers.Concatenate(name=f"{prefix}views" if long else f"{prefix}pool")([means, places])
    return added(keras, views, prefix) if long else views


def added(keras: ModuleType, views: Any, prefix: str = "encoder.") -> Any:
    """Features ``[B, 448]`` -> the same and what two dense layers make of them: what goes together is seen here."""
    layers = keras.layers
    x = layers.Dense(PLACE_FEATURES, activation="relu", kernel_initializer="he_normal", name=f"{prefix}added.0")(views)
    x = layers.Dense(FEATURES, kernel_initializer="zeros", name=f"{prefix}added.1")(x)
    return layers.Add(name=f"{prefix}pool")([views, x])
