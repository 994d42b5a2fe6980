"""EmoDECA: what emotion the head's own parameters show, without looking at a picture.

Source: emoca:gdl/models/{EmoDECA,MLP}.py (spec section 5.4).
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from emoca_tf.codes import Codes
from emoca_tf.emotion.recognition import emotion_heads

N_CODES = 153
N_CODES_DETAIL = 281
HIDDEN = 2048
DEPTH = 4


def readout_mlp(
    keras: ModuleType, inputs: int = N_CODES, hidden: int = HIDDEN, depth: int = DEPTH, name: str = "emodeca"
) -> Any:
    """Codes ``[B, 153]`` (281 with detail; see :func:`readout_input`) -> ``expression``, ``valence``, ``arousal``.

    Four times Linear, BatchNorm, LeakyReLU 0.2; layers bear the torch names ``model.N``.

    Args:
        keras: the Keras module to build with.
        inputs: length of the code.
        hidden: width of the hidden layers.
        depth: number of hidden layers.
        name: name of the model.
    """
    layers = keras.layers
    code = keras.Input((inputs,), name="codes")
    x = code
    for index in range(0, 3 * depth, 3):
        x = layers.Dense(hidden, name=f"model.{index}")(x)
        x = layers.BatchNormalization(epsilon=1e-5, momentum=0.9, name=f"model.{index + 1}")(x)
        x = layers.LeakyReLU(0.2, name=f"model.{index + 2}")(x)
    return keras.Model(code, emotion_heads(keras, x, f"model.{3 * depth}"), name=name)


def readout_input(codes: Codes, detail: Any = None) -> Any:
    """Shape 100, expression 50, jaw 3 and optionally detail 128 -> ``[B, 153 or 281]``."""
    import tensorflow as tf

    parts = [codes.shape, codes.exp, codes.pose[:, 3:6]]
    return tf.concat(parts if detail is None else [*parts, detail], 1)
