"""``D_detail``: jaw, expression and detail codes to a displacement map of the face in UV space.

Source: DECA:decalib/models/decoders.py, class Generator (spec section 2.4).
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

N_DETAIL = 128
LATENT = 3 + 50 + N_DETAIL
OUT_SCALE = 0.01  # metres: the displacement lies within +-1 cm
FIRST_EPSILON = 1e-5
# The original passes 0.8 as the second positional argument of BatchNorm2d, which is eps; its weights depend on it.
BLOCK_EPSILON = 0.8
BN_MOMENTUM = 0.9
START = (128, 8, 8)
WIDTHS = (128, 64, 64, 32, 16)


def detail_latent(pose: Any, exp: Any, detail: Any) -> Any:
    """Input of the generator: jaw (``pose[:, 3:6]``), expression, detail code -> ``[B, 181]``, in this order."""
    import tensorflow as tf

    return tf.concat([pose[:, 3:6], exp, detail], 1)


def detail_generator(
    keras: ModuleType, latent: int = LATENT, name: str = "D_detail", start: int = START[0], widths: Any = WIDTHS
) -> Any:
    """Latent ``[B, 181]`` (see :func:`detail_latent`) -> displacement ``[B, 256, 256, 1]`` in metres.

    Args:
        keras: the Keras module to build with.
        latent: length of the input.
        name: name of the model.
        start: channels of the first 8x8 map.
        widths: channels after each of the five doublings.
    """
    layers = keras.layers
    size = START[1:]

    def norm(x: Any, index: int, epsilon: float) -> Any:
        return layers.BatchNormalization(epsilon=epsilon, momentum=BN_MOMENTUM, name=f"conv_blocks.{index}")(x)

    code = keras.Input((latent,), name="latent")
    x = layers.Dense(start * size[0] * size[1], name="l1.0")(code)
    x = layers.Reshape((start, *size), name="l1.view")(x)  # the weights mean channels first
    x = layers.Permute((2, 3, 1), name="l1.permute")(x)
    x = norm(x, 0, FIRST_EPSILON)
    for block, width in enumerate(widths):
        index = 4 * block + 1
        x = layers.UpSampling2D(2, interpolation="bilinear", name=f"conv_blocks.{index}")(x)
        x = layers.Conv2D(width, 3, padding="same", name=f"conv_blocks.{index + 1}")(x)
        x = norm(x, index + 2, BLOCK_EPSILON)
        x = layers.LeakyReLU(0.2, name=f"conv_blocks.{index + 3}")(x)
    last = 4 * len(widths) + 1
    x = layers.Conv2D(1, 3, padding="same", name=f"conv_blocks.{last}")(x)
    x = layers.Activation("tanh", name=f"conv_blocks.{last + 1}")(x)
    return keras.Model(code, layers.Rescaling(OUT_SCALE, name="out_scale")(x), name=name)
