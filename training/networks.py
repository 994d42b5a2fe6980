"""The networks of a run, either family under one interface: pictures to codes, codes and detail to displacement.

``resnet50`` is DECA's ``E_flame`` and EMOCA's ``E_expression``; ``mobilenet_v3`` is SMIRK's trio, ``separable``
the same trio on a trunk that starts from the embedded emotion network. All fit any head: the widths of the outputs are
the head's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from emoca_tf.codes import Codes, split
from emoca_tf.emotion.default import load_default
from emoca_tf.emotion.readout import expression_code, readout_input, readout_mlp, small_readout
from emoca_tf.emotion.recognition import emotion_mobilenet, emotion_resnet50
from emoca_tf.encoders.detail import N_DETAIL, detail_generator, detail_latent
from emoca_tf.encoders.mobilenet_v3 import (
    IMAGE_SIZE,
    OURS,
    expression_encoder,
    mobile_codes,
    mobilenet_v3_trunk,
    pose_encoder,
    shape_encoder,
    tied_encoders,
    with_features,
)
from emoca_tf.encoders.resnet import resnet50_encoder
from emoca_tf.errors import UserError
from emoca_tf.flame.head import HeadModel
from emoca_tf.io.npz import read_npz
from emoca_tf.weights.torch_layout import load_state, sub_state
from training.checkpoint import network_arrays
from training.projection import projected

N_TEX = 50
CROP_MARGIN = 1.1 * 1.25  # how much larger than the landmarks' box a crop is (spec section 1.1)
UNUSED = ("fc.*", "backbone.fc.*")  # classifiers of the original files that nothing here uses
AMBIENT = 3.5449077  # band 0 of a light that gives shading 1


class Encoded(NamedTuple):
    """Codes, and the features of the mobile expression encoder's trunk (ResNet: None)."""

    codes: Codes
    features: tf.Tensor | None


class Reconstruction:
    """Pictures to codes for one family and head.

    Args:
        family: ``resnet50``, ``mobilenet_v3`` or ``separable``.
        head: gives the widths of the shape and expression codes.
        layout: what the ResNet expression network replaces.
        detail: also build ``E_detail`` and ``D_detail``.
        prefix: put before the networks' names (a teacher beside its student).
        shrink: of the pictures that the mobile encoders see, see :func:`emoca_tf.encoders.mobilenet_v3.picture`.
        still: batch norms keep their statistics while the mobile encoders learn.
        tied: mobile encoders share their trunk (see :func:`tied_encoders`).

    The mobile encoders' expressions are kept to the head's range (:mod:`training.projection`), the ResNets', which
    stay as released, are not.
    """

    def __init__(
        self,
        family: str,
        head: HeadModel,
        layout: str = "exp",
        detail: bool = False,
        prefix: str = "",
        shrink: int = 1,
        still: bool = False,
        tied: bool = False,
    ) -> None:
        self.family, self.layout, self.prefix = family, layout, prefix
        self.sizes = {
            "shape": head.n_shape, "tex": N_TEX, "exp": head.n_exp, "pose": 6, "cam": 3, "light": 27,
        }  # fmt: skip
        self.n_exp, self.eyelids, self.exp_limits = head.n_exp, head.eyelids is not None, head.exp_limits
        self.still = still
        self.tied: Any = None
        self.featured: Any = None
        if family == "resnet50":
            extra = {"exp": 0, "exp+jaw": 3, "exp+global": 3, "exp+pose": 6}[layout]
            self.models = {
                "E_flame": resnet50_encoder(keras, sum(self.sizes.values()), "E_flame"),
                "E_expression": resnet50_encoder(keras, head.n_exp + extra, "E_expression"),
            }
        else:
            self._build_mobile(head, shrink, tied)
        if detail:
            build = resnet50_encoder if family == "resnet50" else mobile_detail_encoder
            self.models["E_detail"] = build(keras, N_DETAIL, name="E_detail")
            self.models["D_detail"] = detail_generator(keras, latent=3 + head.n_exp + N_DETAIL)
        start_in_view(self, head)

    def _build_mobile(self, head: HeadModel, shrink: int, tied: bool) -> None:
        if tied:
            self.models, self.tied = tied_encoders(keras, head.n_shape, head.n_exp, shrink, self.family)
        else:
            self.models = {
                "pose_encoder": pose_encoder(keras, shrink=shrink, trunk=self.family),
                "shape_encoder": shape_encoder(keras, head.n_shape, shrink=shrink, trunk=self.family),
                "expression_encoder": expression_encoder(keras, head.n_exp, shrink=shrink, trunk=self.family),
            }
            self.featured = with_features(keras, self.models["expression_encoder"])
        if self.family == "separable":
            start_from_emotion(self.models)

    @property
    def expression_name(self) -> str:
        """The network that the COARSE stage trains."""
        return "E_expression" if self.family == "resnet50" else "expression_encoder"

    @property
    def coarse_names(self) -> tuple[str, ...]:
        """The networks that DECA's pretraining trains; the mobile trio has its only jaw in the expression encoder."""
        return ("E_flame",) if self.family == "resnet50" else ("pose_encoder", "shape_encoder", "expression_encoder")

    def clone_trunk(self, loaded: Collection[str]) -> None:
        """EMOCA's start (``deca_clone``): the expression encoder's trunk is the coarse encoder's, its head is fresh.

        Only when ``loaded`` (lines of :func:`initialise`) names a coarse network and no expression network.
        """
        names = {line.partition(":")[0] for line in loaded}
        if self.family != "resnet50" or "E_flame" not in names or "E_expression" in names:
            return
        theirs = {layer.name: layer for layer in self.models["E_flame"].layers}
        for layer in self.models["E_expression"].layers:
            if layer.name.startswith("encoder.") and layer.weights:
                layer.set_weights(theirs[layer.name].get_weights())

    def _run(self, name: str, images: tf.Tensor, learning: Collection[str]) -> Any:
        return self._outputs(self.models[name], images, name in learning)

    def _outputs(self, model: Any, images: tf.Tensor, learning: bool) -> Any:
        outputs = model(images, training=learning and not self.still)
        return tf.nest.map_structure(lambda value: tf.cast(value, tf.float32), outputs)

    def coarse(self, images: tf.Tensor, learning: Collection[str] = ()) -> Codes:
        """Everything from the coarse networks alone (ResNet: without ``E_expression``)."""
        if self.family == "resnet50":
            return split(self._run("E_flame", images, learning), self.sizes)
        return self.encode(images, learning)

    def without_expression(self, images: tf.Tensor) -> Codes:
        """What :meth:`with_expression` starts from; the mobile expression encoder, which it runs, is not run here."""
        if self.family == "resnet50":
            return self.coarse(images)
        rest = self.blank(images)
        return mobile_codes(
            *self._pose_and_shape(images), {"exp": rest.exp, "jaw": rest.pose[:, 3:], "eyelid": rest.eyelid}
        )

    def blank(self, images: tf.Tensor) -> Codes:
        """Codes of zeros, as many as there are pictures."""
        count = tf.shape(images)[0]
        zeros = {name: tf.zeros((count, width)) for name, width in self.sizes.items()}
        return Codes(**zeros | {"light": tf.zeros((count, 9, 3))})

    def _pose_and_shape(self, images: tf.Tensor, learning: Collection[str] = ()) -> tuple[Any, Any]:
        return self._run("pose_encoder", images, learning), self._run("shape_encoder", images, learning)

    def coarse_encoded(self, images: tf.Tensor, learning: Collection[str] = ()) -> Encoded:
        """As :meth:`coarse`, with the features of the mobile trunk."""
        if self.family == "resnet50":
            return Encoded(self.coarse(images, learning), None)
        return self.encoded(images, learning)

    def encode(self, images: tf.Tensor, learning: Collection[str] = ()) -> Codes:
        """``[B, 224, 224, 3]`` RGB 0..1 -> codes; the networks named in ``learning`` run in training mode."""
        return self.encoded(images, learning).codes

    def encoded(self, images: tf.Tensor, learning: Collection[str] = ()) -> Encoded:
        """As :meth:`encode`, with the features of the expression encoder's trunk."""
        if self.family == "resnet50":
            return Encoded(self.with_expression(self.coarse(images, learning), images, learning), None)
        if self.tied is not None:
            shape = expression = self._outputs(self.tied, images, self.expression_name in learning)
            pose = shape if "cam" in shape else self._run("pose_encoder", images, learning)
        else:
            pose, shape = self._pose_and_shape(images, learning)
            expression = self._featured(images, learning)
        codes = mobile_codes(pose, shape, expression)
        codes = codes.replace(exp=projected(codes.exp, self.exp_limits))
        return Encoded(codes if self.eyelids else codes.replace(eyelid=None), expression["features"])

    def _featured(self, images: tf.Tensor, learning: Collection[str]) -> Any:
        return self._outputs(self.featured, images, self.expression_name in learning)

    def with_expression(self, coarse: Codes, images: tf.Tensor, learning: Collection[str] = ()) -> Codes:
        """``coarse`` with expression (and what the layout or the mobile encoder brings with it) replaced."""
        return self.with_expression_encoded(coarse, images, learning).codes

    def with_expression_encoded(self, coarse: Codes, images: tf.Tensor, learning: Collection[str] = ()) -> Encoded:
        """As :meth:`with_expression`, with the features of the mobile trunk."""
        if self.family != "resnet50":
            output = self._featured(images, learning)
            pose = tf.concat([coarse.pose[:, :3], output["jaw"]], 1)
            eyelid = output["eyelid"] if self.eyelids else None
            exp = projected(output["exp"], self.exp_limits)
            return Encoded(coarse.replace(exp=exp, pose=pose, eyelid=eyelid), output["features"])
        output = self._run(self.expression_name, images, learning)
        exp, rest = output[:, : self.n_exp], output[:, self.n_exp :]
        pose = {
            "exp": lambda: coarse.pose,
            "exp+jaw": lambda: tf.concat([coarse.pose[:, :3], rest], 1),
            "exp+global": lambda: tf.concat([rest, coarse.pose[:, 3:]], 1),
            "exp+pose": lambda: rest,
        }[self.layout]()
        return Encoded(coarse.replace(exp=exp, pose=pose), None)

    def detail_code(self, images: tf.Tensor, learning: Collection[str] = ()) -> tf.Tensor:
        """``[B, 128]`` detail codes."""
        return self._run("E_detail", images, learning)

    def displacement(self, codes: Codes, detail: tf.Tensor, learning: Collection[str] = ()) -> tf.Tensor:
        """``[B, 256, 256, 1]`` metres."""
        return self._run("D_detail", detail_latent(codes.pose, codes.exp, detail), learning)


def mobile_detail_encoder(keras_module: Any, outputs: int = N_DETAIL, name: str = "E_detail") -> Any:
    """Picture -> detail code with the phone-sized trunk (ours: SMIRK has no detail branch)."""
    image = keras_module.Input((IMAGE_SIZE, IMAGE_SIZE, 3), name="image")
    features = mobilenet_v3_trunk(keras_module, image, "large")
    return keras_module.Model(image, keras_module.layers.Dense(outputs, name="layers.0")(features), name=name)


def start_in_view(networks: Reconstruction, head: HeadModel) -> None:
    """Set the start of an untrained camera and light: the mean head fills the crop under even white light.

    Without it an untrained ``E_flame`` has scale 0, where neither landmarks nor pictures give a useful gradient.
    """
    table = head.landmarks.get("full") or head.landmarks.get("mediapipe")
    if table is None:
        points = head.v_template
    else:
        corners = head.v_template[head.f[table.faces_idx.reshape(-1)]]
        points = (corners * table.bary_coords.reshape(-1, 3, 1)).sum(1)
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    scale = 2 / (CROP_MARGIN * float((high - low).mean()))
    cam = np.array([scale, *(-(low + high) / 2)], np.float32)
    if networks.family != "resnet50":
        pose = networks.models["pose_encoder"]
        pose.get_layer("pose_cam_layers.0.rows.3.4").bias.assign(cam[:1])
        pose.get_layer("pose_cam_layers.0.rows.4.6").bias.assign(cam[1:])
        return
    last = networks.models["E_flame"].get_layer("layers.2")
    start = last.kernel.shape[1] - 30
    bias = np.zeros(last.bias.shape, np.float32)
    bias[start : start + 3], bias[start + 3 : start + 6] = cam, AMBIENT
    last.bias.assign(bias)
    last.kernel.assign(np.asarray(last.kernel) * 0.01)


def start_from_emotion(models: Mapping[str, Any]) -> None:
    """Give the blocks of untrained separable trunks the weights of the embedded emotion network: it knows faces."""
    theirs = {f"encoder.{layer.name}": layer for layer in load_default(keras).layers if layer.weights}
    for model in models.values():
        for layer in model.layers:
            if layer.name in theirs:
                layer.set_weights(theirs[layer.name].get_weights())


def emotion_network(family: str, name: str = "emotion") -> Any:
    """An emotion network to train: 2048, 960 or 256 features, 8 expressions, valence, arousal.

    Args:
        family: ``resnet50`` and ``mobilenet_v3`` come untrained, ``default`` with its embedded weights.
        name: name of the model.
    """
    if family == "default":
        return load_default(keras, name, frozen=False)
    return emotion_resnet50(keras, name) if family == "resnet50" else emotion_mobilenet(keras, name=name)


def readout_network(head: HeadModel, kind: str = "emodeca", hidden: int = 2048, name: str = "readout") -> Any:
    """A read-out of this head's codes: ``emodeca`` on shape, expression and jaw, or ``small`` without the shape."""
    if kind == "small":
        return small_readout(keras, head.n_exp + 3, name=name)
    return readout_mlp(keras, head.n_shape + head.n_exp + 3, hidden, name=name)


def readout_code(kind: str, codes: Codes) -> tf.Tensor:
    """What a read-out of :func:`readout_network` reads."""
    return expression_code(codes) if kind == "small" else readout_input(codes)


def initialise(models: Mapping[str, Any], sources: Collection[str]) -> list[str]:
    """Load weights by network name from run directories or files; returns one line for each network loaded.

    A run directory gives its best checkpoint, or its last. A file is an ``.npz`` of torch-named arrays, as
    ``emoca-tf import-weights`` writes it, with or without the networks' names as prefixes.

    Raises:
        UserError: nothing there, nothing that fits, or another size of network.
    """
    lines = []
    for source in sources:
        path = checkpoint_of(Path(source))
        lines += load_arrays(models, read_npz(path), path)
    return lines


def load_arrays(models: Mapping[str, Any], stored: Mapping[str, np.ndarray], path: Path) -> list[str]:
    """As :func:`initialise`, from the arrays of one file, which errors and lines call ``path``."""
    checkpoint = network_arrays(stored)
    loaded = _from_run(models, checkpoint, path)
    torch_named = {} if checkpoint else {name: array for name, array in stored.items() if name != "meta"}
    for name, model in models.items():
        state = next((s for s in (sub_state(torch_named, f"{p}{name}.") for p in ("", "deca.")) if s), {})
        if state:
            load_state(model, state, ignore=UNUSED, optional=OURS)
            loaded[name] = len(state)
    if not loaded and len(models) == 1 and torch_named:
        ((name, model),) = models.items()
        load_state(model, torch_named, ignore=UNUSED, optional=OURS)
        loaded[name] = len(torch_named)
    if not loaded:
        raise UserError(f"{path} holds none of the networks {', '.join(models)}")
    return [f"{name}: {count} arrays from {path}" for name, count in loaded.items()]


def checkpoint_of(path: Path) -> Path:
    """The file that weights come from: ``path`` itself, or the best (else last) checkpoint of a run directory.

    Raises:
        UserError: neither exists.
    """
    if path.is_file():
        return path
    for name in ("checkpoints/best.npz", "checkpoints/last.npz"):
        if (path / name).is_file():
            return path / name
    raise UserError(f"{path}: no weights there; give a run directory with checkpoints/ or an .npz of weights")


def _from_run(models: Mapping[str, Any], checkpoint: Mapping[str, list[np.ndarray]], path: Path) -> dict[str, int]:
    loaded = {}
    for name, arrays in checkpoint.items():
        if name not in models:
            continue
        variables = models[name].variables
        shapes = [tuple(v.shape) for v in variables]
        if [a.shape for a in arrays] != shapes:
            unequal = [(a.shape, s) for a, s in zip(arrays, shapes, strict=False) if a.shape != s]
            what = f"{unequal[0][0]} in the file, {unequal[0][1]} here" if unequal else "another number of layers"
            raise UserError(f"{name} in {path} has another size ({what}); use the family and head it was trained with")
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(array)
        loaded[name] = len(arrays)
    return loaded
