"""Networks that read codes: the emotion read-out and the detail decoder, with their codes as named inputs.

A phone feeds them the same named codes as the head; slicing and joining happens inside the file.
"""

from __future__ import annotations

from typing import Any

import keras

from convert.heads import CODE_MEANING
from convert.networks import Network
from emoca_tf.emotion.recognition import EXPRESSIONS
from emoca_tf.encoders.detail import N_DETAIL
from emoca_tf.errors import UserError
from emoca_tf.flame.head import HeadModel

READ = ("expression", "valence", "arousal")
_MEANING = CODE_MEANING | {"detail": "detail code of detail_encoder"}


class _Jaw(keras.layers.Layer):
    """``pose [B, 6]`` -> jaw ``[B, 3]``."""

    def call(self, pose: Any) -> Any:
        return pose[:, 3:6]


def readout_network(mlp: Any, head: HeadModel) -> Network:
    """The read-out as a network of named codes: ``(shape,) exp, pose -> expression, valence, arousal``.

    Args:
        mlp: :func:`emoca_tf.emotion.readout.readout_mlp` on expression and jaw, with or without the shape before them.
        head: gives the sizes of the codes.

    Raises:
        UserError: the read-out takes codes that a bundle does not have.
    """
    sizes = {"shape": head.n_shape, "exp": head.n_exp, "pose": 6}
    width, few = int(mlp.inputs[0].shape[-1]), head.n_exp + 3
    if width == few:
        del sizes["shape"]
    elif width != few + head.n_shape:
        raise UserError(
            f"the read-out takes {width} codes; {few} (expression, jaw) or {few + head.n_shape} (and shape) "
            "can be converted"
        )
    return _of_codes("readout", sizes, lambda codes: {name: mlp(codes)[name] for name in READ}, EXPRESSIONS)


def detail_network(generator: Any, head: HeadModel) -> Network:
    """``D_detail`` as a network of named codes: ``exp, pose, detail -> displacement [B, 256, 256, 1]`` metres."""
    sizes = {"pose": 6, "exp": head.n_exp, "detail": N_DETAIL}
    return _of_codes("detail", sizes, lambda codes: {"displacement": generator(codes)})


def _of_codes(name: str, sizes: dict[str, int], run: Any, labels: tuple[str, ...] = ()) -> Network:
    """A network whose input is the named codes in order, of the pose only the jaw.

    The read-out's jaw stands last, the detail decoder's first: where ``pose`` stands in ``sizes``.
    """
    codes = {key: keras.Input((size,), name=key) for key, size in sizes.items()}
    parts = [_Jaw(name="jaw")(value) if key == "pose" else value for key, value in codes.items()]
    outputs = run(keras.layers.Concatenate(name="codes")(parts))
    model = keras.Model(list(codes.values()), outputs, name=f"{name}_network")  # a code may bear its name
    return Network(name, model, name, inputs={key: _MEANING[key] for key in sizes}, labels=labels)
