"""What can be converted: trained networks from a file or run directory, under the names that a phone uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.resources import as_file, files
from pathlib import Path
from types import ModuleType
from typing import Any

from emoca_tf.encoders.mobilenet_v3 import expression_encoder, pose_encoder, shape_encoder
from emoca_tf.encoders.resnet import resnet50_encoder
from emoca_tf.errors import UserError
from emoca_tf.flame.head import HeadModel
from emoca_tf.io.npz import read_npz

PRESET = "mobile"
PRESET_FILE = "data/mobile.npz"  # inside emoca_tf.weights: torch-named arrays, prefixed with the networks' names
IMAGE = "face crop, RGB in 0..1, 224 x 224 (emoca_tf.faces.crop)"


@dataclass(frozen=True)
class Network:
    """One network to convert.

    Attributes:
        name: what the files, the signature and the bundle call it.
        model: the float reference, a Keras 3 functional model.
        outputs: names of the outputs in the order of ``model.outputs``, for models with one unnamed output.
        build: the same network with another Keras module, for quantisation-aware training; None if it has no twin.
        kind: what the judge measures: ``encoder``, ``head``, ``emotion``, ``readout`` or ``detail``.
        inputs: input name -> what it is.
        axes: output name -> the names along its last axis.
        labels: class names of an output ``expression``.
    """

    name: str
    model: Any
    kind: str
    outputs: tuple[str, ...] = ()
    build: Callable[[ModuleType], Any] | None = None
    inputs: Mapping[str, str] = field(default_factory=lambda: {"image": IMAGE})
    axes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """The networks of one trained model and the head whose codes they speak.

    Attributes:
        family: ``mobilenet_v3`` or ``resnet50``.
        networks: name -> network; the encoders that were found.
        head: the head model.
        origin: where the weights came from, for the reports.
    """

    family: str
    networks: dict[str, Network]
    head: HeadModel
    origin: str


def load_source(model: str, head: HeadModel) -> Source:
    """The encoders of a model.

    Args:
        model: ``mobile`` (the embedded weights), a run directory of ``training/``, an ``.npz`` of weights by torch
            names (``emoca-tf import-weights``), or a ``.keras`` file of :class:`emoca_tf.model.Emoca`.
        head: gives the widths of the codes and the names of their axes.

    Raises:
        UserError: nothing there, or nothing in it that can be converted.
    """
    if model == PRESET:
        preset = files("emoca_tf.weights") / PRESET_FILE
        if not preset.is_file():
            raise UserError(
                "no embedded mobile weights ship with this version yet; "
                "give a model: convert --tflite RUN_DIRECTORY (made by training/train.py)"
            )
        with as_file(preset) as path:
            return _from_weights(path, head, "embedded mobile weights")
    path = Path(model)
    if path.suffix == ".keras":
        return _from_keras(path, head)
    return _from_weights(path, head, str(path))


def _from_weights(path: Path, head: HeadModel, origin: str) -> Source:
    from training.networks import Reconstruction, checkpoint_of, initialise
    from training.trained import shrink_in

    stored = read_npz(checkpoint_of(path))
    family = "mobilenet_v3" if any("expression_encoder" in key for key in stored) else "resnet50"
    layout = "exp"
    found = Reconstruction(family, head, layout, shrink=shrink_in(stored))
    loaded = {line.split(":")[0] for line in initialise(found.models, [str(path)])}
    return Source(family, _named({n: m for n, m in found.models.items() if n in loaded}, head), head, origin)


def _from_keras(path: Path, head: HeadModel) -> Source:
    import keras

    import emoca_tf.model  # noqa: F401 - registers Emoca for loading

    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, OSError, KeyError) as error:
        raise UserError(f"{path} cannot be loaded as a Keras model ({str(error).splitlines()[0][:160]})") from None
    parts = {name: getattr(model, name) for name in ("E_flame", "E_expression", "E_detail") if hasattr(model, name)}
    parts = parts or {model.name: model}
    networks = _named(parts, head)
    if not networks:
        raise UserError(f"{path} holds {', '.join(parts)}; none of them is an encoder that can be converted")
    family = "resnet50" if any(name.startswith("E_") for name in parts) else "mobilenet_v3"
    return Source(family, networks, head, str(path))


def _named(models: Mapping[str, Any], head: HeadModel) -> dict[str, Network]:
    """Our names for the networks of a training run, with builders for their twins."""
    exp, axes = head.n_exp, {"exp": head.expression_names}
    shrink = 1
    for layer in (layer for model in models.values() for layer in model.layers if layer.name == "encoder.shrink"):
        shrink = layer.kernel_size[0]
    mobile: dict[str, tuple[str, Callable[[ModuleType], Any]]] = {
        "expression_encoder": ("expression", lambda k: expression_encoder(k, exp, shrink=shrink)),
        "pose_encoder": ("pose", lambda k: pose_encoder(k, shrink=shrink)),
        "shape_encoder": ("shape", lambda k: shape_encoder(k, head.n_shape, shrink=shrink)),
    }
    networks = {}
    for name, model in models.items():
        if name in mobile:
            short, build = mobile[name]
            networks[short] = Network(short, model, "encoder", build=build, axes=axes if short == "expression" else {})
        elif name in ("E_expression", "E_flame"):
            short, output = ("expression", "exp") if name == "E_expression" else ("coarse", "codes")
            width = int(model.output.shape[-1])
            if short == "expression" and width != exp:
                raise UserError(f"E_expression with {width} outputs on a head with {exp} expression axes: convert the "
                                "layout 'exp' only")  # fmt: skip
            networks[short] = Network(
                short, model, "encoder", (output,), lambda k, n=name, w=width: resnet50_encoder(k, w, n),  # type: ignore[misc]
                axes=axes if short == "expression" else {},
            )  # fmt: skip
    return networks
