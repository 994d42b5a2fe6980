"""The official checkpoints we know: how to tell them apart, which of their entries are whose, what model they fill.

Names and shapes: spec section 7.1. Keras is imported only when a model is built.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emoca_tf.emotion import identity
from emoca_tf.encoders import vgg
from emoca_tf.errors import UserError

Shapes = Mapping[str, tuple[int, ...]]
"""Entry name -> torch shape."""

_MPI = (
    "Max Planck licence of {}: non-commercial scientific research only, no redistribution, not for training commercial "
    "networks. The weights stay under it in this form too; do not publish this file."
)


@dataclass(frozen=True)
class Kind:
    """One sort of official file.

    Attributes:
        name: what files of ours say they are.
        title: for people.
        licence: what binds whoever uses the weights.
        sources: our network name -> prefix of its entries in the file ("" for a file of one network).
        config: shapes in the file -> arguments of ``build``; UserError for sizes that no model has.
        build: arguments -> the Keras model.
        networks: model -> network name -> the Keras model that holds it.
        ignore: patterns of entries that serve other purposes.
        optional: patterns of entries, inside a network, that the official file lacks.
        optional_networks: networks that may be absent altogether.
        crop_scale: crop that the network was trained with (see :class:`emoca_tf.weights.card.Card`).
    """

    name: str
    title: str
    licence: str
    sources: Mapping[str, str]
    config: Callable[[Shapes], dict[str, Any]]
    build: Callable[..., Any]
    networks: Callable[[Any], Mapping[str, Any]]
    ignore: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    optional_networks: tuple[str, ...] = ()
    crop_scale: float = 1.25

    def entry(self, network: str, key: str) -> str:
        """Name of an entry in our own files."""
        return f"{network}.{key}" if len(self.sources) > 1 else key


def identify(names: Sequence[str], where: str) -> Kind:
    """The kind of a checkpoint by its entry names.

    Raises:
        UserError: none of the known ones.
    """
    firsts = set(names)

    def has(prefix: str) -> bool:
        return any(name.startswith(prefix) for name in names)

    if has("mlp.model."):
        return KINDS["emodeca"]
    if has("deca.E_expression."):
        return KINDS["emoca"]
    if has("E_flame."):
        return KINDS["deca"]
    if has("smirk_encoder."):
        return KINDS["smirk"]
    if has("backbone.layer1.") and "linear.weight" in firsts:
        return KINDS["emotion"]
    if "conv1.weight" in firsts and has("layer1.0."):
        return KINDS["identity"]
    if "features.0.weight" in firsts and has("features.28."):
        return KINDS["vgg19"]
    if has("deca."):
        return KINDS["emoca"]
    some = ", ".join(list(names)[:3]) or "no tensor at all"
    known = ", ".join(name for name in KINDS if name != "mobile")  # ours, never imported
    raise UserError(f"{where} is none of the known checkpoints ({known}); it holds {len(names)} tensors ({some})")


def _has(shapes: Shapes, prefix: str) -> bool:
    return any(key.startswith(prefix) for key in shapes)


def _outputs(shapes: Shapes, key: str) -> int | None:
    return shapes[key][0] if len(shapes.get(key, ())) == 2 else None


def emoca_config(shapes: Shapes, replaces_global: bool = False) -> dict[str, Any]:
    """Layout of the expression network by its number of outputs, and whether the file has a detail branch.

    Raises:
        UserError: if the number is unknown or not in the file.
    """
    from emoca_tf.encoders.expression import expression_layout

    outputs = _outputs(shapes, "deca.E_expression.layers.2.weight")
    if outputs is None:
        raise UserError("E_expression.layers.2.weight is missing: the file does not say how many outputs it has")
    return {"layout": expression_layout(outputs, replaces_global), "with_detail": _with_detail(shapes, "deca.")}


def _deca_config(shapes: Shapes) -> dict[str, Any]:
    return {"layout": "none", "with_detail": _with_detail(shapes, "")}


def _with_detail(shapes: Shapes, prefix: str) -> bool:
    return _has(shapes, f"{prefix}E_detail.") and _has(shapes, f"{prefix}D_detail.")


def _build_emoca(**config: Any) -> Any:
    from emoca_tf.model import Emoca

    return Emoca(**config)


def _smirk_config(shapes: Shapes) -> dict[str, Any]:
    return {"n_shape": _outputs(shapes, "smirk_encoder.shape_encoder.shape_layers.0.weight") or 300}


def _build_smirk(**config: Any) -> Any:
    import keras

    from emoca_tf.encoders.mobilenet_v3 import mobile_encoder

    return mobile_encoder(keras, **config)


def _mobile_config(shapes: Shapes) -> dict[str, Any]:
    from emoca_tf.encoders.mobile import mobile_config

    return mobile_config(shapes)


def _build_mobile(**config: Any) -> Any:
    import keras

    from emoca_tf.encoders.mobile import Mobile

    return Mobile(keras, **config)


def _emodeca_config(shapes: Shapes) -> dict[str, Any]:
    from emoca_tf.emotion.readout import N_CODES, N_CODES_DETAIL

    shape = shapes.get("mlp.model.0.weight", ())
    inputs = shape[1] if len(shape) == 2 else N_CODES
    if inputs not in (N_CODES, N_CODES_DETAIL):
        raise UserError(
            f"the read-out takes {inputs} codes; {N_CODES} (shape, expression, jaw) and {N_CODES_DETAIL} "
            "(and detail) are known"
        )
    return {"inputs": inputs}


def _build_emodeca(**config: Any) -> Any:
    import keras

    from emoca_tf.emotion.readout import readout_mlp

    return readout_mlp(keras, **config)


def _build_emotion() -> Any:
    import keras

    from emoca_tf.emotion.recognition import emotion_resnet50

    return emotion_resnet50(keras)


def _build_identity() -> Any:
    import keras

    from emoca_tf.emotion.identity import identity_network

    return identity_network(keras)


def _build_vgg19() -> Any:
    import keras

    from emoca_tf.encoders.vgg import vgg19_features

    return vgg19_features(keras)


def _three_encoders(model: Any) -> Mapping[str, Any]:
    return {name: model.get_layer(name) for name in ("pose_encoder", "shape_encoder", "expression_encoder")}


def _only(name: str) -> Callable[[Any], Mapping[str, Any]]:
    return lambda model: {name: model}


_EMOCA_NETWORKS = ("E_flame", "E_expression", "E_detail", "D_detail")
_EMOCA_IGNORED = (
    "deca.flame.*", "deca.flametex.*", "deca.render.*", "deca.perceptual_loss.*", "deca.id_loss.*", "emonet_loss.*",
    "deca.uv_face_eye_mask", "deca.fixed_uv_dis", "deca.emonet_loss.*", "deca.au_loss.*", "deca.lipread_loss.*",
    "au_loss.*", "lipread_loss.*",
)  # fmt: skip

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            name="deca",
            title="DECA: coarse encoder and detail branch (Feng et al., SIGGRAPH 2021).",
            licence=_MPI.format("DECA"),
            sources={name: f"{name}." for name in ("E_flame", "E_detail", "D_detail")},
            config=_deca_config,
            build=_build_emoca,
            networks=lambda model: model.networks,
            ignore=("opt.*",),
            optional_networks=("E_detail", "D_detail"),
        ),
        Kind(
            name="emoca",
            title="EMOCA: DECA with an expression encoder trained for emotion (Danecek et al., CVPR 2022).",
            licence=_MPI.format("EMOCA"),
            sources={name: f"deca.{name}." for name in _EMOCA_NETWORKS},
            config=emoca_config,
            build=_build_emoca,
            networks=lambda model: model.networks,
            ignore=_EMOCA_IGNORED,
            optional_networks=("E_detail", "D_detail"),
        ),
        Kind(
            name="smirk",
            title="SMIRK: three MobileNetV3 encoders (Retsinas et al., CVPR 2024). Albedo and light codes are not "
            "predicted: they are the mean albedo under even white light.",
            licence="SMIRK's code is MIT; its weights were learned on FLAME and on data sets for research: "
            "treat them as non-commercial and see FLAME's licence.",
            sources={
                name: f"smirk_encoder.{name}." for name in ("pose_encoder", "shape_encoder", "expression_encoder")
            },
            config=_smirk_config,
            build=_build_smirk,
            networks=_three_encoders,
            ignore=("smirk_generator.*",),
            optional=("tex_layers.*", "light_layers.*"),
            crop_scale=1.4 / 1.1,  # SMIRK's box has no factor 1.1
        ),
        Kind(
            name="mobile",
            title="The mobile model of emoca-tf: phone-sized encoders of pose, identity and expression.",
            licence="",  # that of the data it was trained on: stands in the card of each file
            sources={
                name: f"{name}."
                for name in ("pose_encoder", "shape_encoder", "expression_encoder", "emotion", "readout")
            },
            config=_mobile_config,
            build=_build_mobile,
            networks=lambda model: model.networks,
            optional_networks=("emotion", "readout"),
            optional=("light_layers.1.*",),  # files from before the thumbnail
        ),
        Kind(
            name="emotion",
            title="EMOCA's emotion recognition network (ResNet50: features, 8 expressions, valence, arousal).",
            licence=_MPI.format("EMOCA"),
            sources={"emotion": ""},
            config=lambda shapes: {},
            build=_build_emotion,
            networks=_only("emotion"),
            ignore=("backbone.fc.*",),
        ),
        Kind(
            name="emodeca",
            title="EmoDECA: expression class, valence and arousal from the codes of a head.",
            licence=_MPI.format("EMOCA"),
            sources={"readout": "mlp."},
            config=_emodeca_config,
            build=_build_emodeca,
            networks=_only("readout"),
            ignore=("deca.*",),
        ),
        Kind(
            name="identity",
            title="VGGFace2 ResNet50 (Cao et al., FG 2018) for the identity loss.",
            licence="VGGFace2 terms: non-commercial research.",
            sources={"identity": ""},
            config=lambda shapes: {},
            build=_build_identity,
            networks=_only("identity"),
            ignore=identity.UNUSED,
        ),
        Kind(
            name="vgg19",
            title="VGG19 (Simonyan and Zisserman; torchvision's ImageNet weights) for the ID-MRF loss.",
            licence="torchvision: BSD-3-Clause; ImageNet's terms of access apply to the data it was trained on.",
            sources={"vgg19": ""},
            config=lambda shapes: {},
            build=_build_vgg19,
            networks=_only("vgg19"),
            ignore=vgg.UNUSED,
        ),
    )
}
