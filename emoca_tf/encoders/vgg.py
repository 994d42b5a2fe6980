"""The two VGG19 maps that the ID-MRF detail loss compares.

``relu3_2`` and ``relu4_2`` of the original count convolutions and ReLUs in one counter a block: they are the ReLUs
after the **first** convolution of blocks 3 and 4. Weights are torchvision's VGG19 (ImageNet), supplied by the user.
Source: DECA:decalib/utils/lossfunc.py, emoca:gdl/layers/losses (losses specification, ID-MRF).
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from emoca_tf.weights.torch_layout import load_file

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
BLOCKS = ((64, 64), (128, 128), (256, 256, 256, 256), (512,))
UNUSED = ("classifier.*", *(f"features.{index}.*" for index in (21, 23, 25, 28, 30, 32, 34)))
"""Entries of torchvision's VGG19 that lie behind ``relu4_2``."""


def vgg19_features(keras: ModuleType, name: str = "vgg19") -> Any:
    """Image ``[B, H, W, 3]`` RGB 0..1 -> ``{"relu3_2": [B, H/4, W/4, 256], "relu4_2": [B, H/8, W/8, 512]}``.

    The ImageNet normalisation is part of the network. Layers bear torchvision's names ``features.N``.
    """
    layers = keras.layers
    image = keras.Input((None, None, 3), name="image")
    x = layers.Normalization(mean=list(MEAN), variance=[std * std for std in STD], name="imagenet")(image)
    taps, index = {}, 0
    for block, widths in enumerate(BLOCKS, 1):
        for position, width in enumerate(widths):
            x = layers.Conv2D(width, 3, padding="same", name=f"features.{index}")(x)
            x = layers.ReLU(name=f"features.{index + 1}")(x)
            if block >= 3 and position == 0:
                taps[f"relu{block}_2"] = x
            index += 2
        if block < len(BLOCKS):
            x = layers.MaxPooling2D(2, name=f"features.{index}")(x)
            index += 1
    return keras.Model(image, taps, name=name)


def load_vgg19(keras: ModuleType, path: Path | str | None) -> Any:
    """The frozen network with the user's weights.

    Raises:
        UserError: no path, no such file, or other weights; one line that says what is needed.
    """
    model = vgg19_features(keras)
    load_file(model, path, "the ID-MRF detail loss needs torchvision's VGG19 weights", ignore=UNUSED)
    model.trainable = False
    return model
