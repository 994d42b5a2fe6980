"""The phone-sized model as a whole: three encoders, and where the weights have them emotion network and read-out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from emoca_tf.codes import Codes
from emoca_tf.emotion.default import default_network
from emoca_tf.emotion.readout import expression_code, readout_input, readout_mlp, small_readout
from emoca_tf.emotion.recognition import emotion_mobilenet
from emoca_tf.encoders.mobilenet_v3 import (
    expression_encoder,
    kept_in_range,
    mobile_codes,
    pose_encoder,
    shape_encoder,
)
from emoca_tf.errors import UserError

ENCODERS = ("pose_encoder", "shape_encoder", "expression_encoder")
OPTIONAL = ("emotion", "readout")
N_JAW = 3
SEPARABLE_KEY = "expression_encoder.encoder.dense0.conv0.weight"
"""An entry that only encoders with a separable trunk have."""
_TRUNKS = {960: "large", 576: "small", 256: "default"}  # by number of features


class Mobile:
    """The networks of a file of mobile weights; :func:`mobile_config` finds the arguments but ``eyelids`` and
    ``exp_limits``, which the head gives.

    Args:
        keras: the Keras module to build with.
        n_shape: identity coefficients.
        n_exp: expression coefficients.
        shrink: of the encoders' pictures, see :func:`emoca_tf.encoders.mobilenet_v3.picture`.
        trunk: of the encoders, see :func:`emoca_tf.encoders.mobilenet_v3.seen_by`.
        eyelids: the head has eyelid shapes; without them the encoder's eyelids mean nothing and are left out.
        emotion: trunk of the emotion network: ``large`` or ``small``, ``default`` for the embedded network's
            (:mod:`emoca_tf.emotion.default`); empty for none.
        readout_inputs: length of the read-out's code, see :meth:`readout_code`; 0 for no read-out.
        readout_hidden: width of its hidden layers.
        readout_depth: their number; 0 reads the classes linearly.
        readout_derived: its valence and arousal are derived from its classes, see
            :func:`emoca_tf.emotion.readout.small_readout`.
        exp_limits: lowest and highest expression coefficient, see :meth:`keep_in_range`.

    Attributes:
        networks: name -> Keras model.

    Raises:
        UserError: for a read-out of other codes than :meth:`readout_code` knows.
    """

    def __init__(
        self,
        keras: ModuleType,
        n_shape: int,
        n_exp: int,
        shrink: int = 1,
        eyelids: bool = False,
        emotion: str = "",
        readout_inputs: int = 0,
        readout_hidden: int = 0,
        readout_depth: int = 0,
        readout_derived: bool = False,
        trunk: str = "mobilenet_v3",
        exp_limits: Sequence[float] | None = None,
    ) -> None:
        self.n_shape, self.n_exp, self.eyelids = n_shape, n_exp, eyelids
        self.networks: dict[str, Any] = {
            "pose_encoder": pose_encoder(keras, shrink=shrink, trunk=trunk),
            "shape_encoder": shape_encoder(keras, n_shape, shrink=shrink, trunk=trunk),
            "expression_encoder": expression_encoder(keras, n_exp, shrink=shrink, trunk=trunk),
        }
        if emotion == "default":
            self.networks["emotion"] = default_network(keras, "emotion")
        elif emotion:
            self.networks["emotion"] = emotion_mobilenet(keras, emotion, name="emotion")
        if readout_inputs:
            if readout_inputs not in (n_exp + N_JAW, n_shape + n_exp + N_JAW):
                raise UserError(
                    f"the read-out takes {readout_inputs} codes; {n_exp + N_JAW} (expression, jaw) and "
                    f"{n_shape + n_exp + N_JAW} (shape, expression, jaw) are known for this head"
                )
            build = small_readout if readout_derived else readout_mlp
            self.networks["readout"] = build(keras, readout_inputs, readout_hidden, readout_depth, name="readout")

        self._keras = keras
        if exp_limits is not None:
            self.keep_in_range(exp_limits)

    def keep_in_range(self, limits: Sequence[float] | None) -> None:
        """From now on expression coefficients keep to the limits, see :func:`.mobilenet_v3.kept_in_range`.

        Raises:
            UserError: they keep to others already.
        """
        given = None if limits is None else (float(limits[0]), float(limits[1]))
        encoder = self.networks["expression_encoder"]
        self.networks["expression_encoder"] = kept_in_range(self._keras, encoder, given)

    def encode(self, images: Any) -> Codes:
        """``[B, 224, 224, 3]`` RGB 0..1 -> codes (TensorFlow)."""
        codes = mobile_codes(*(self.networks[name](images, training=False) for name in ENCODERS))
        return codes if self.eyelids else codes.replace(eyelid=None)

    def readout_code(self, codes: Codes) -> Any:
        """What the read-out reads: expression and jaw, with the shape before them if it was trained so."""
        with_shape = int(self.networks["readout"].inputs[0].shape[-1]) > self.n_exp + N_JAW
        return readout_input(codes) if with_shape else expression_code(codes)

    def read(self, codes: Codes) -> dict[str, Any]:
        """The read-out's outputs, see :func:`emoca_tf.emotion.recognition.emotion_heads`."""
        outputs: dict[str, Any] = self.networks["readout"](self.readout_code(codes), training=False)
        return outputs


def mobile_config(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """Arguments of :class:`Mobile` from entry names (``readout.model.0.weight``) and torch shapes.

    Raises:
        UserError: an encoder is missing, or a network has a size that no mobile model has.
    """
    absent = [name for name in ENCODERS if not any(key.startswith(f"{name}.") for key in shapes)]
    if absent:
        raise UserError(f"{', '.join(absent)} missing; mobile weights hold {', '.join(ENCODERS)}")
    return {
        "n_shape": _rows(shapes, "shape_encoder.shape_layers.0.weight"),
        "n_exp": _rows(shapes, "expression_encoder.expression_layers.0.weight") - 5,  # 2 eyelids, 3 jaw
        **trunk_config(shapes),
        **optional_config(shapes),
    }


def trunk_config(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """``trunk`` of the encoders, and ``shrink`` by the shape of the kernel that does it (1 without one)."""
    return {
        "shrink": shapes.get("expression_encoder.encoder.shrink.weight", (1,))[-1],
        "trunk": "separable" if SEPARABLE_KEY in shapes else "mobilenet_v3",
    }


def optional_config(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """The part of :func:`mobile_config` about emotion network and read-out; empty without them.

    Raises:
        UserError: a size that no mobile model has.
    """
    config: dict[str, Any] = {}
    if any(key.startswith("emotion.") for key in shapes):
        last = shapes.get("emotion.linear.weight", shapes.get("emotion.fc.weight", (0, 0)))
        config["emotion"] = trunk_of(last[-1])
    layers = [key for key, shape in shapes.items() if _is_dense(key, shape, "readout.model.")]
    if layers:
        hidden, inputs = shapes["readout.model.0.weight"]
        depth = len(layers) - 1
        config |= {"readout_inputs": inputs, "readout_hidden": hidden if depth else 0, "readout_depth": depth}
        config["readout_derived"] = "readout.circumplex.weight" in shapes
    return config


def trunk_of(features: int) -> str:
    """``large``, ``small`` or ``default`` by the number of features.

    Raises:
        UserError: neither.
    """
    if features not in _TRUNKS:
        raise UserError(f"the emotion network has {features} features; mobile ones have 960, 576 or 256")
    return _TRUNKS[features]


def _is_dense(key: str, shape: tuple[int, ...], prefix: str) -> bool:
    return key.startswith(prefix) and key.endswith(".weight") and len(shape) == 2


def _rows(shapes: Mapping[str, tuple[int, ...]], key: str) -> int:
    if len(shapes.get(key, ())) != 2:
        raise UserError(f"{key} is missing: the file does not say how many codes it gives")
    return shapes[key][0]
