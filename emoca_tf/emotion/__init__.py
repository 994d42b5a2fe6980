"""Emotion networks: image -> features, valence, arousal, expression; and codes -> emotion."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from emoca_tf.errors import UserError

SMALL_FEATURES = 576  # of MobileNetV3-small


def load(source: Path | str = "default", keras: ModuleType | None = None) -> Any:
    """A frozen emotion network: image ``[B, 224, 224, 3]`` RGB 0..1 -> features, expression, valence, arousal.

    The outputs are those of :func:`emoca_tf.emotion.recognition.emotion_heads`, whatever the network.

    Args:
        source: ``default`` for the embedded network (:mod:`emoca_tf.emotion.default`, approximate valence and arousal),
            or an ``.npz`` of torch-named arrays (``emoca-tf import-weights`` writes it) of EMOCA's ResNet50, of our
            MobileNetV3 or of the embedded network trained further; which one is read from the names.
        keras: the Keras module to build with; Keras 3 if None.

    Raises:
        UserError: no such file, damaged, or no emotion network.
    """
    if keras is None:
        keras = import_module("keras")
    from emoca_tf.emotion import default, recognition
    from emoca_tf.io.npz import read_npz
    from emoca_tf.weights.torch_layout import load_state

    if str(source) == "default":
        return default.load_default(keras)
    state = {name: value for name, value in read_npz(Path(source)).items() if name != "meta"}
    if "backbone.conv1.weight" in state:
        model = recognition.emotion_resnet50(keras)
    elif "backbone.conv_stem.weight" in state:
        width = state["linear.weight"].shape[-1] if "linear.weight" in state else 0
        model = recognition.emotion_mobilenet(keras, "small" if width == SMALL_FEATURES else "large")
    elif "dense0.conv0.weight" in state:
        model = default.default_network(keras)
    else:
        raise UserError(
            f"{source} holds no emotion network (neither backbone.conv1, backbone.conv_stem nor dense0.conv0 inside); "
            "give 'default', or weights written by: emoca-tf import-weights"
        )
    load_state(model, state, ignore=recognition.UNUSED)
    model.trainable = False
    return model
