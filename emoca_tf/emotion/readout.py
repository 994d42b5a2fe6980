"""EmoDECA: what emotion the head's own parameters show, without looking at a picture.

Source: emoca:gdl/models/{EmoDECA,MLP}.py (spec section 5.4).
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

from emoca_tf.codes import Codes
from emoca_tf.emotion.recognition import EXPRESSIONS, derived_values, emotion_heads, place_on_circumplex

N_CODES = 153
N_CODES_DETAIL = 281
HIDDEN = 2048
DEPTH = 4
SMALL_HIDDEN = 256
SMALL_DEPTH = 2


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
    code = keras.Input((inputs,), name="codes")
    x = _hidden(keras, code, hidden, depth)
    return keras.Model(code, emotion_heads(keras, x, f"model.{3 * depth}"), name=name)


def small_readout(
    keras: ModuleType, inputs: int, hidden: int = SMALL_HIDDEN, depth: int = SMALL_DEPTH, name: str = "readout"
) -> Any:
    """The embedded model's read-out: expression and jaw codes ``[B, 53]`` -> the outputs of :func:`readout_mlp`.

    As :func:`readout_mlp`, but smaller and with valence and arousal that are derived from the class probabilities, for
    data without measured ones; see :func:`emoca_tf.emotion.recognition.derived_values`.

    Args:
        keras: the Keras module to build with.
        inputs: length of the code.
        hidden: width of the hidden layers.
        depth: number of hidden layers.
        name: name of the model.
    """
    code = keras.Input((inputs,), name="codes")
    logits = keras.layers.Dense(len(EXPRESSIONS), name=f"model.{3 * depth}")(_hidden(keras, code, hidden, depth))
    model = keras.Model(code, {"expression": logits} | derived_values(keras, logits), name=name)
    place_on_circumplex(model)
    return model


def _hidden(keras: ModuleType, x: Any, hidden: int, depth: int) -> Any:
    layers = keras.layers
    for index in range(0, 3 * depth, 3):
        x = layers.Dense(hidden, name=f"model.{index}")(x)
        x = layers.BatchNormalization(epsilon=1e-5, momentum=0.9, name=f"model.{index + 1}")(x)
        x = layers.LeakyReLU(0.2, name=f"model.{index + 2}")(x)
    return x


def expression_code(codes: Codes) -> Any:
    """Expression 50 and jaw 3 -> ``[B, 53]``: what a face does, without who it is."""
    import tensorflow as tf

    return tf.concat([codes.exp, codes.pose[:, 3:6]], 1)


def readout_input(codes: Codes, detail: Any = None) -> Any:
    """Shape 100, expression 50, jaw 3 and optionally detail 128 -> ``[B, 153 or 281]``."""
    import tensorflow as tf

    parts = [codes.shape, codes.exp, codes.pose[:, 3:6]]
    return tf.concat(parts if detail is None else [*parts, detail], 1)
