"""What can be converted: trained networks from a file or run directory, under the names that a phone uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from convert.tied import joined
from emoca_tf.emotion.default import default_network
from emoca_tf.emotion.recognition import EXPRESSIONS, emotion_mobilenet, emotion_resnet50
from emoca_tf.encoders.mobilenet_v3 import expression_encoder, kept_in_range, pose_encoder, shape_encoder
from emoca_tf.encoders.resnet import resnet50_encoder
from emoca_tf.errors import UserError
from emoca_tf.flame.head import HeadModel
from emoca_tf.io.npz import read_npz
from emoca_tf.weights.card import Card
from emoca_tf.weights.presets import preset_file, presets
from emoca_tf.weights.torch_layout import META

PRESET = "default"
EMOTION_NETWORKS: dict[int, Callable[[ModuleType], Any]] = {
    2048: lambda keras: emotion_resnet50(keras, "emotion"),
    960: lambda keras: emotion_mobilenet(keras, "large", "emotion"),
    576: lambda keras: emotion_mobilenet(keras, "small", "emotion"),
    256: lambda keras: default_network(keras, "emotion"),
}
"""Number of features -> builder of the emotion network that has them."""
IMAGE = "face crop, RGB in 0..1, 224 x 224 (emoca_tf.faces.crop)"


@dataclass(frozen=True)
class Network:
    """One network to convert.

    Attributes:
        name: what the files, the signature and the bundle call it.
        model: the float reference, a Keras 3 functional model.
        outputs: names of the outputs in the order of ``model.outputs``, for models with one unnamed output.
        build: the same network with another Keras module, for quantisation-aware training; None if it has no twin.
        kind: what the judge measures: ``encoder``, ``head``, ``emotion``, ``readout``, ``detail`` or
            ``detail_encoder``.
        inputs: input name -> what it is.
        axes: output name -> the names along its last axis.
        labels: class names of an output ``expression``.
        lean: makes the model that is converted in place of ``model``: the same outputs from fewer numbers. The judge
            compares with ``model``.
    """

    name: str
    model: Any
    kind: str
    outputs: tuple[str, ...] = ()
    build: Callable[[ModuleType], Any] | None = None
    inputs: Mapping[str, str] = field(default_factory=lambda: {"image": IMAGE})
    axes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    lean: Callable[[], Any] | None = None

    def leaner(self) -> Network:
        """The network that is converted: with the model of ``lean`` where there is one."""
        return self if self.lean is None else replace(self, model=self.lean())


@dataclass(frozen=True)
class Source:
    """The networks of one trained model and the head whose codes they speak.

    Attributes:
        family: ``mobilenet_v3`` or ``resnet50``.
        networks: name -> network; the encoders that were found.
        head: the head model.
        origin: where the weights came from, for the reports.
        licence: what binds whoever uses the weights; empty if the file does not say.
    """

    family: str
    networks: dict[str, Network]
    head: HeadModel
    origin: str
    licence: str = ""


def copied(network: Network) -> Any | None:
    """A Keras 3 model of the same layers and weights, to be changed.

    Returns:
        The model, or None where the network has no builder, or one for another make.
    """
    import keras

    if network.build is None:
        return None
    model = network.build(keras)
    ours = {layer.name: layer for layer in model.layers}
    weighted = [layer for layer in network.model.layers if layer.weights]
    if any(layer.name not in ours for layer in weighted):
        return None  # a model of the user's own make under the name of one of ours
    for layer in weighted:
        ours[layer.name].set_weights(layer.get_weights())
    return model


def load_source(model: str, head: HeadModel) -> Source:
    """The encoders of a model.

    Args:
        model: name of a preset (``default`` is the embedded mobile weights), a run directory of ``training/``, an
            ``.npz`` of weights by torch names (``emoca-tf import-weights``), or a ``.keras`` file of
            :class:`emoca_tf.model.Emoca`.
        head: gives the widths of the codes and the names of their axes.

    Raises:
        UserError: nothing there, or nothing in it that can be converted.
    """
    if model == PRESET or model in presets():
        if not presets():
            raise UserError("no weights ship with this version; give a model: convert --tflite RUN_DIRECTORY (made by "
                            "training/train.py)")  # fmt: skip
        return _from_weights(preset_file(model), head, f"preset {next(iter(presets())) if model == PRESET else model}")
    path = Path(model)
    if path.suffix == ".keras":
        return _from_keras(path, head)
    return _from_weights(path, head, str(path))


def _from_weights(path: Path, head: HeadModel, origin: str) -> Source:
    from training.networks import Reconstruction, checkpoint_of, initialise
    from training.trained import trunk_in

    stored = read_npz(checkpoint_of(path))
    sizes = trunk_in(stored)
    family = sizes["trunk"] if any("expression_encoder" in key for key in stored) else "resnet50"
    detail = any("D_detail" in key for key in stored)
    models = Reconstruction(family, head, "exp", detail=detail, shrink=sizes["shrink"]).models
    models |= optional_networks(stored, path)
    loaded = {line.split(":")[0] for line in initialise(models, [str(path)])}
    licence = Card.from_json(stored[META].tobytes(), str(path)).licence if META in stored else ""
    return Source(family, _named({n: m for n, m in models.items() if n in loaded}, head), head, origin, licence)


def optional_networks(stored: Mapping[str, np.ndarray], path: Path) -> dict[str, Any]:
    """Emotion network and read-out of the sizes that a weights file or checkpoint holds; empty without them.

    Raises:
        UserError: an emotion network that none of ours is.
    """
    import keras

    from emoca_tf.emotion.readout import readout_mlp, small_readout
    from training.trained import extras_in

    found: dict[str, Any] = {}
    emotion = _dense_sizes(stored, "emotion")
    if emotion:
        features = max(inputs for inputs, _ in emotion)
        if features not in EMOTION_NETWORKS:
            known = ", ".join(map(str, EMOTION_NETWORKS))
            raise UserError(f"{path}: the emotion network has {features} features; ours have {known}")
        found["emotion"] = EMOTION_NETWORKS[features](keras)
    sizes = extras_in({key: array for key, array in stored.items() if "readout" in key.split(".")[0]})
    if sizes:
        build = small_readout if sizes["readout_derived"] else readout_mlp
        inputs, hidden, depth = (sizes[f"readout_{name}"] for name in ("inputs", "hidden", "depth"))
        found["readout"] = build(keras, inputs, hidden, depth, name="readout")
    return found


def _dense_sizes(stored: Mapping[str, np.ndarray], network: str) -> list[tuple[int, int]]:
    """(inputs, outputs) of a network's linear layers, from torch-named arrays or a run's checkpoint."""
    named = [(key, a) for key, a in stored.items() if key.startswith(f"{network}.") and a.ndim == 2]
    if named:
        return [(a.shape[1], a.shape[0]) for _, a in named]
    prefix = f"network/{network}/"
    return [(a.shape[0], a.shape[1]) for key, a in sorted(stored.items()) if key.startswith(prefix) and a.ndim == 2]


def _from_keras(path: Path, head: HeadModel) -> Source:
    import keras

    import emoca_tf.model  # noqa: F401 - registers Emoca for loading

    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, OSError, KeyError) as error:
        raise UserError(f"{path} cannot be loaded as a Keras model ({str(error).splitlines()[0][:160]})") from None
    names = ("E_flame", "E_expression", "E_detail", "D_detail")
    parts = {name: getattr(model, name) for name in names if hasattr(model, name)}
    parts = parts or {model.name: model}
    networks = _named(parts, head)
    if not networks:
        raise UserError(f"{path} holds {', '.join(parts)}; none of them is an encoder that can be converted")
    family = "resnet50" if any(name.startswith("E_") for name in parts) else "mobilenet_v3"
    return Source(family, networks, head, str(path))


def _trunk_of(models: Mapping[str, Any]) -> dict[str, Any]:
    """How the mobile encoders among the networks are built."""
    encoders = [model for name, model in models.items() if name.endswith("_encoder")]
    layers = {layer.name: layer for model in encoders for layer in model.layers}
    shrink = layers.get("encoder.shrink")
    if shrink is None:
        return {}
    if shrink.weights:  # MobileNetV3's has a fixed kernel, a separable trunk's resizes
        return {"shrink": shrink.kernel_size[0]}
    return {"trunk": "separable"}


def _named(models: Mapping[str, Any], head: HeadModel) -> dict[str, Network]:
    """Our names for the networks of a training run, with builders for their twins."""
    import keras

    exp, axes = head.n_exp, {"exp": head.expression_names}
    sizes = _trunk_of(models)
    mobile: dict[str, tuple[str, Callable[[ModuleType], Any]]] = {
        "expression_encoder": (
            "expression",
            lambda k: kept_in_range(k, expression_encoder(k, exp, **sizes), head.exp_limits),
        ),
        "pose_encoder": ("pose", lambda k: pose_encoder(k, **sizes)),
        "shape_encoder": ("shape", lambda k: shape_encoder(k, head.n_shape, **sizes)),
    }
    networks = {}
    for name, model in models.items():
        if name in mobile:
            short, build = mobile[name]
            model = kept_in_range(keras, model, head.exp_limits) if short == "expression" else model
            networks[short] = Network(short, model, "encoder", build=build, axes=axes if short == "expression" else {})
        elif name in ("E_expression", "E_flame"):
            networks |= _resnet(name, model, axes, exp)
        elif name == "emotion":
            features = int(model.output["features"].shape[-1])
            networks[name] = Network(name, model, "emotion", build=EMOTION_NETWORKS.get(features), labels=EXPRESSIONS)
        elif name == "E_detail":
            networks["detail_encoder"] = Network("detail_encoder", model, "detail_encoder", ("detail",))
        elif name in ("readout", "D_detail"):
            from convert.decoders import detail_network, readout_network

            found = readout_network(model, head) if name == "readout" else detail_network(model, head)
            networks[found.name] = found
    return joined(networks, head.n_shape, sizes)


def _resnet(name: str, model: Any, axes: Mapping[str, tuple[str, ...]], exp: int) -> dict[str, Network]:
    """DECA's coarse encoder or EMOCA's expression encoder.

    Raises:
        UserError: an expression encoder that also gives jaw or global rotation.
    """
    short, output = ("expression", "exp") if name == "E_expression" else ("coarse", "codes")
    width = int(model.output.shape[-1])
    if short == "expression" and width != exp:
        raise UserError(f"E_expression with {width} outputs on a head with {exp} expression axes: convert the layout "
                        "'exp' only")  # fmt: skip

    def build(keras: ModuleType) -> Any:
        return resnet50_encoder(keras, width, name)

    return {short: Network(short, model, "encoder", (output,), build, axes=axes if short == "expression" else {})}
