"""The emotion network that comes with the package: small, freely licensed, and weaker than EMOCA's.

It is the expression network of face-api.js (npm ``@vladmandic/face-api`` 1.7.15, MIT; see NOTICE), built anew from its
published structure: four blocks of separable convolutions with summed outputs, global mean, one linear layer.

How it differs from EMOCA's network (:func:`emoca_tf.emotion.recognition.emotion_resnet50`):

* 256 features instead of 2048, 0.32 million parameters instead of 23.5 million, trained on undisclosed pictures
  instead of AffectNet;
* seven classes: **contempt is missing**, its logit is the constant :data:`NO_CONTEMPT`;
* it knows neither valence nor arousal: both are **approximate**, the mean of the classes' places in
  :data:`emoca_tf.emotion.circumplex.CIRCUMPLEX` under the class probabilities, ``v = sum_c p_c v_c``;
* it looks at the middle of the crop (:data:`MARGIN`) at half the resolution and normalises the picture itself, so that
  input and outputs are those of every other emotion network here.

As an emotion loss it pulls mostly towards happy, neutral and surprise; fear and disgust are near chance in the wild.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import as_file, files
from types import ModuleType
from typing import Any

import numpy as np

from emoca_tf.emotion.recognition import EXPRESSIONS, derived_values, place_on_circumplex
from emoca_tf.encoders.resnet import IMAGE_SIZE
from emoca_tf.encoders.separable import separable_blocks
from emoca_tf.io.npz import read_npz
from emoca_tf.weights.torch_layout import load_state

DATA_FILE = "default_emotion.npz"
MARGIN = 24
"""Pixels cut off on every side of the 224 crop: the network was trained on tighter faces."""
NO_CONTEMPT = -40.0
"""Logit of the class the network lacks: its probability stays below 1e-9, below every other."""


def default_network(keras: ModuleType, name: str = "emotion_default") -> Any:
    """Image ``[B, 224, 224, 3]`` RGB 0..1 -> ``features [B, 256]``, ``expression [B, 8]``, valence, arousal ``[B, 1]``.

    Untrained, except that valence and arousal already follow from the expression; see :func:`load_default`.

    Args:
        keras: the Keras module to build with.
        name: name of the model.
    """
    layers = keras.layers
    image = keras.Input((IMAGE_SIZE, IMAGE_SIZE, 3), name="image")
    x = separable_blocks(keras, image, MARGIN)[-1]
    features = layers.GlobalAveragePooling2D(name="pool")(x)
    logits = layers.Dense(len(EXPRESSIONS), name="fc")(features)
    outputs = {"features": features, "expression": logits} | derived_values(keras, logits)
    model = keras.Model(image, outputs, name=name)
    place_on_circumplex(model)
    return model


def load_default(keras: ModuleType, name: str = "emotion_default", frozen: bool = True) -> Any:
    """The network with its embedded weights.

    Args:
        keras: the Keras module to build with.
        name: name of the model.
        frozen: False to train it on; valence and arousal stay derived from the expression.
    """
    with as_file(files("emoca_tf.emotion") / "data" / DATA_FILE) as path:
        state = unpack(read_npz(path))
    model = default_network(keras, name)
    load_state(model, state, optional=("circumplex.*",))
    if frozen:
        model.trainable = False
    return model


def unpack(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The stored arrays as a torch-named float32 state: ``uint8 * scale + minimum`` where they are quantised."""
    meta = json.loads(arrays["meta"].tobytes())
    state = {name: value.astype(np.float32) for name, value in arrays.items() if name != "meta"}
    for name, (scale, minimum) in meta["quantisation"].items():
        state[name] = state[name] * np.float32(scale) + np.float32(minimum)
    return with_contempt(state, [EXPRESSIONS.index(label) for label in meta["labels"]])


def with_contempt(state: Mapping[str, np.ndarray], places: list[int]) -> dict[str, np.ndarray]:
    """Seven classes into the rows of eight; the row nobody takes gets a constant logit."""
    weight = np.zeros((len(EXPRESSIONS), state["fc.weight"].shape[1]), np.float32)
    bias = np.full(len(EXPRESSIONS), NO_CONTEMPT, np.float32)
    weight[places], bias[places] = state["fc.weight"], state["fc.bias"]
    return {**state, "fc.weight": weight, "fc.bias": bias}
