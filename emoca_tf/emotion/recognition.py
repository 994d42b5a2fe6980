"""Emotion from a face crop: features for the emotion loss, eight expressions, valence and arousal.

Two networks, one interface: EMOCA's Caffe-style ResNet50 (official weights import) and a MobileNetV3 for phones.
Source: emoca:gdl/models/EmoCnnModule.py (spec section 5.3). Input is RGB 0..1 without mean subtraction, 224 x 224 only.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from emoca_tf.emotion.circumplex import CIRCUMPLEX
from emoca_tf.encoders.mobilenet_v3 import mobilenet_v3_trunk
from emoca_tf.encoders.resnet import IMAGE_SIZE, STAGES, resnet50_trunk

EXPRESSIONS = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt")
"""AffectNet's eight classes in the order of the logits."""

UNUSED = ("backbone.fc.*",)
"""Entries of the official checkpoint that the network never uses (``load_state(..., ignore=UNUSED)``)."""


def emotion_resnet50(
    keras: ModuleType, name: str = "emotion_resnet50", stages: tuple[tuple[int, int], ...] = STAGES
) -> Any:
    """EMOCA's network: image ``[B, 224, 224, 3]`` -> outputs of :func:`emotion_heads` with 2048 features.

    Args:
        keras: the Keras module to build with.
        name: name of the model.
        stages: (width, blocks) of each stage; a small network for tests.
    """
    image = keras.Input((IMAGE_SIZE, IMAGE_SIZE, 3), name="image")
    features = resnet50_trunk(keras, image, prefix="backbone.", caffe=True, stages=stages)
    return keras.Model(image, emotion_heads(keras, features), name=name)


def emotion_mobilenet(keras: ModuleType, size: str = "large", name: str = "emotion_mobilenet") -> Any:
    """The small network of the same interface; 960 features (``size="large"``) or 576 (``"small"``)."""
    image = keras.Input((IMAGE_SIZE, IMAGE_SIZE, 3), name="image")
    features = mobilenet_v3_trunk(keras, image, size, prefix="backbone.")
    return keras.Model(image, emotion_heads(keras, features), name=name)


def derived_values(keras: ModuleType, logits: Any) -> dict[str, Any]:
    """Expression logits ``[B, 8]`` -> approximate ``valence`` and ``arousal`` ``[B, 1]`` for want of measured labels.

    Both are the mean of the classes' places in :data:`emoca_tf.emotion.circumplex.CIRCUMPLEX` under the class
    probabilities, ``v = sum_c p_c v_c``. The layers do not learn; :func:`place_on_circumplex` fills them once the
    model is built.
    """
    layers = keras.layers
    probabilities = layers.Softmax(name="probabilities")(logits)
    return {
        quantity: layers.Dense(1, use_bias=False, trainable=False, name=f"circumplex.rows.{row}.{row + 1}")(
            probabilities
        )
        for row, quantity in enumerate(("valence", "arousal"))
    }


def place_on_circumplex(model: Any) -> None:
    """Give the layers of :func:`derived_values` their fixed weights."""
    for row in range(2):
        places = np.array([[CIRCUMPLEX[label][row]] for label in EXPRESSIONS], np.float32)
        model.get_layer(f"circumplex.rows.{row}.{row + 1}").set_weights([places])


def emotion_heads(keras: ModuleType, features: Any, module: str = "linear") -> dict[str, Any]:
    """Features ``[B, F]`` -> the outputs every emotion network has.

    Args:
        keras: the Keras module to build with.
        features: symbolic features.
        module: torch name of the linear layer 0:8 expressions, 8 valence, 9 arousal.

    Returns:
        ``features [B, F]``, ``expression [B, 8]`` (logits, see :data:`EXPRESSIONS`), ``valence [B, 1]`` and
        ``arousal [B, 1]`` (-1..1 by training, not clamped).
    """
    dense, n = keras.layers.Dense, len(EXPRESSIONS)
    return {
        "features": features,
        "expression": dense(n, name=f"{module}.rows.0.{n}")(features),
        "valence": dense(1, name=f"{module}.rows.{n}.{n + 1}")(features),
        "arousal": dense(1, name=f"{module}.rows.{n + 1}.{n + 2}")(features),
    }
