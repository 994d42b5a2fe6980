"""MobileNetV3 "minimal" and SMIRK's three encoders: the phone-sized family with the coarse encoder's codes.

Minimal means ReLU, no squeeze-and-excite, 3x3 kernels only. Layers bear timm's names, so SMIRK's weights load by name.
Sources: timm:timm/models/mobilenetv3.py, smirk:src/smirk_encoder.py (spec section 7.5).
SMIRK gives no albedo and no light; the heads for them stand on the shape trunk and are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any, NamedTuple

from emoca_tf.codes import Codes
from emoca_tf.encoders.separable import separable_trunk
from emoca_tf.errors import UserError

IMAGE_SIZE = 224
BN_EPSILON = 1e-3
BN_MOMENTUM = 0.9
STEM = 16
# Stage -> blocks (out, stride, expansion). Expansion 0 is the depthwise-separable block, -1 the last 1x1 convolution.
LARGE: tuple[tuple[tuple[int, int, float], ...], ...] = (
    ((16, 1, 0),),
    ((24, 2, 4), (24, 1, 3)),
    ((40, 2, 3), (40, 1, 3), (40, 1, 3)),
    ((80, 2, 6), (80, 1, 2.5), (80, 1, 2.3), (80, 1, 2.3)),
    ((112, 1, 6), (112, 1, 6)),
    ((160, 2, 6), (160, 1, 6), (160, 1, 6)),
    ((960, 1, -1),),
)
SMALL: tuple[tuple[tuple[int, int, float], ...], ...] = (
    ((16, 2, 0),),
    ((24, 2, 4.5), (24, 1, 3.67)),
    ((40, 2, 4), (40, 1, 6), (40, 1, 6)),
    ((48, 1, 3), (48, 1, 3)),
    ((96, 2, 6), (96, 1, 6), (96, 1, 6)),
    ((576, 1, -1),),
)
N_SHAPE = 300
N_TEX = 50
N_EXP = 50
JAW_LIMIT = 0.2  # radians, sideways and twist
OPEN = 0.06  # radians an untrained jaw is open: a rectifier that starts shut in most pictures never opens
AMBIENT = 3.5449077  # band 0 of the light that gives shading 1: sqrt(4 pi)
FIELDS = 7  # of the thumbnail, on a side
OURS = ("tex_layers.*", "light_layers.*")
"""Patterns of the entries that SMIRK's checkpoint does not have (``load_state(..., optional=OURS)``)."""


def divisible(channels: float, by: int = 8) -> int:
    """Rounded to a multiple of ``by``, but never below 90 % (timm's ``make_divisible``)."""
    rounded = max(by, int(channels + by / 2) // by * by)
    return rounded + by if rounded < 0.9 * channels else rounded


class _Blocks:
    """Builds the blocks with one Keras module."""

    def __init__(self, keras: ModuleType) -> None:
        self.layers = keras.layers

    def norm(self, x: Any, name: str, activate: bool = True) -> Any:
        x = self.layers.BatchNormalization(epsilon=BN_EPSILON, momentum=BN_MOMENTUM, name=name)(x)
        return self.layers.ReLU(name=f"{name}.act")(x) if activate else x

    def pointwise(self, x: Any, width: int, name: str) -> Any:
        return self.layers.Conv2D(width, 1, use_bias=False, name=name)(x)

    def depthwise(self, x: Any, stride: int, name: str) -> Any:
        return self.layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False, name=name)(x)

    def separable(self, x: Any, out: int, stride: int, name: str) -> Any:
        y = self.norm(self.depthwise(x, stride, f"{name}.conv_dw"), f"{name}.bn1")
        y = self.norm(self.pointwise(y, out, f"{name}.conv_pw"), f"{name}.bn2", activate=False)
        return self._residual(x, y, stride, name)

    def inverted(self, x: Any, out: int, stride: int, expansion: float, name: str) -> Any:
        hidden = divisible(x.shape[-1] * expansion)
        y = self.norm(self.pointwise(x, hidden, f"{name}.conv_pw"), f"{name}.bn1")
        y = self.norm(self.depthwise(y, stride, f"{name}.conv_dw"), f"{name}.bn2")
        y = self.norm(self.pointwise(y, out, f"{name}.conv_pwl"), f"{name}.bn3", activate=False)
        return self._residual(x, y, stride, name)

    def _residual(self, x: Any, y: Any, stride: int, name: str) -> Any:
        if stride == 1 and x.shape[-1] == y.shape[-1]:
            return self.layers.Add(name=f"{name}.add")([y, x])
        return y


def picture(keras: ModuleType, shrink: int = 1) -> tuple[Any, Any]:
    """The input ``[B, 224, 224, 3]``, and what the trunk sees of it: the mean over squares of ``shrink`` pixels.

    The means are a convolution with a fixed kernel, so that weights tell how they were trained, and every converter
    knows the operation. A quarter of the pixels is a quarter of the work.
    """
    image = keras.Input((IMAGE_SIZE, IMAGE_SIZE, 3), name="image")
    if shrink == 1:
        return image, image
    means = keras.layers.DepthwiseConv2D(
        shrink,
        strides=shrink,
        use_bias=False,
        depthwise_initializer=keras.initializers.Constant(shrink**-2),
        trainable=False,
        name="encoder.shrink",
    )
    return image, means(image)


def mobilenet_v3_trunk(keras: ModuleType, x: Any, size: str = "large", prefix: str = "encoder.") -> Any:
    """Image ``[B, 224, 224, 3]`` RGB 0..1 -> ``[B, 960]`` (large) or ``[B, 576]`` (small) after global pooling.

    Args:
        keras: the Keras module to build with.
        x: symbolic image.
        size: ``"large"`` or ``"small"``.
        prefix: put before every layer name.

    Raises:
        ValueError: for another size.
    """
    if size not in ("large", "small"):
        raise ValueError(f"size {size!r}: 'large' or 'small' expected")
    build = _Blocks(keras)
    x = keras.layers.Conv2D(STEM, 3, strides=2, padding="same", use_bias=False, name=f"{prefix}conv_stem")(x)
    x = build.norm(x, f"{prefix}bn1")
    for stage, blocks in enumerate(LARGE if size == "large" else SMALL):
        for index, (out, stride, expansion) in enumerate(blocks):
            name = f"{prefix}blocks.{stage}.{index}"
            if expansion < 0:
                x = build.norm(build.pointwise(x, out, f"{name}.conv"), f"{name}.bn1")
            elif expansion == 0:
                x = build.separable(x, out, stride, name)
            else:
                x = build.inverted(x, out, stride, expansion, name)
    return keras.layers.GlobalAveragePooling2D(name=f"{prefix}pool")(x)


TRUNKS = ("mobilenet_v3", "separable")


def seen_by(keras: ModuleType, size: str, shrink: int = 1, trunk: str = "mobilenet_v3") -> tuple[Any, Any]:
    """The input ``[B, 224, 224, 3]``, and a trunk's features of it.

    Args:
        keras: the Keras module to build with.
        size: of MobileNetV3, ``"large"`` or ``"small"``; the separable trunk has one size.
        shrink: see :func:`picture`; the separable trunk shrinks by itself.
        trunk: one of :data:`TRUNKS`.

    Raises:
        ValueError: for another trunk.
    """
    if trunk not in TRUNKS:
        raise ValueError(f"trunk {trunk!r}: {' or '.join(TRUNKS)} expected")
    if trunk == "separable":
        image = keras.Input((IMAGE_SIZE, IMAGE_SIZE, 3), name="image")
        return image, separable_trunk(keras, image)
    image, seen = picture(keras, shrink)
    return image, mobilenet_v3_trunk(keras, seen, size)


def _dense(keras: ModuleType, x: Any, units: int, name: str, scale: float = 0.0, bias: float = 0.0) -> Any:
    """A linear head that starts at ``scale`` times torch's default range around a constant."""
    limit = scale * float(x.shape[-1]) ** -0.5
    kernel = keras.initializers.RandomUniform(-limit, limit) if limit else "zeros"
    return keras.layers.Dense(
        units, kernel_initializer=kernel, bias_initializer=keras.initializers.Constant(bias), name=name
    )(x)


def pose_encoder(keras: ModuleType, name: str = "pose_encoder", shrink: int = 1, trunk: str = "mobilenet_v3") -> Any:
    """Image -> ``{"global": [B, 3] axis-angle, "cam": [B, 3] scale, tx, ty}``; the scale starts at 7 as in SMIRK."""
    image, x = seen_by(keras, "small", shrink, trunk)
    return keras.Model(image, pose_head(keras, x), name=name)


def pose_head(keras: ModuleType, x: Any) -> dict[str, Any]:
    """Features -> the outputs of :func:`pose_encoder`."""
    rotation = _dense(keras, x, 3, "pose_cam_layers.0.rows.0.3", 1e-3)
    scale = _dense(keras, x, 1, "pose_cam_layers.0.rows.3.4", 1e-3, 7.0)
    shift = _dense(keras, x, 2, "pose_cam_layers.0.rows.4.6", 1e-3)
    return {"global": rotation, "cam": keras.layers.Concatenate(name="cam")([scale, shift])}


def shape_encoder(
    keras: ModuleType,
    n_shape: int = N_SHAPE,
    appearance: bool = True,
    name: str = "shape_encoder",
    shrink: int = 1,
    trunk: str = "mobilenet_v3",
) -> Any:
    """Image -> ``{"shape": [B, n_shape], "tex": [B, 50], "light": [B, 27]}``.

    Args:
        keras: the Keras module to build with.
        n_shape: identity coefficients; SMIRK's weights have 300, DECA and our default head 100.
        appearance: also build the albedo and light heads (they start at the mean albedo under even white light).
        name: name of the model.
        shrink: see :func:`picture`.
        trunk: see :func:`seen_by`.
    """
    image, x = seen_by(keras, "large", shrink, trunk)
    outputs = shape_head(keras, x, n_shape, appearance, seen=thumbnail(keras, image, trunk))
    return keras.Model(image, outputs, name=name)


def thumbnail(keras: ModuleType, image: Any, trunk: str) -> Any:
    """Image ``[B, 224, 224, 3]`` -> the mean colours of 7 x 7 fields about grey, ``[B, 147]``.

    Light is linear in them. A trunk that starts from emotions knows next to nothing of brightness and colour, and
    learns it slowly: emotions do not depend on them. The published ``mobilenet_v3`` encoders have none.
    """
    if trunk != "separable":
        return None
    layers = keras.layers
    x = layers.AveragePooling2D(IMAGE_SIZE // FIELDS, name="thumbnail")(image)
    x = layers.Rescaling(1.0, -0.5, name="thumbnail.grey")(x)
    return layers.Flatten(name="thumbnail.flat")(x)


def shape_head(
    keras: ModuleType, x: Any, n_shape: int = N_SHAPE, appearance: bool = True, *, seen: Any
) -> dict[str, Any]:
    """Features, and the :func:`thumbnail` of the picture (or None) -> the outputs of :func:`shape_encoder`."""
    outputs = {"shape": _dense(keras, x, n_shape, "shape_layers.0")}
    if appearance:
        outputs["tex"] = _dense(keras, x, N_TEX, "tex_layers.0")
        ambient = _dense(keras, x, 3, "light_layers.0.rows.0.3", bias=AMBIENT)
        rest = _dense(keras, x, 24, "light_layers.0.rows.3.27")
        light = keras.layers.Concatenate(name="light")([ambient, rest])
        outputs["light"] = light if seen is None else _seen_light(keras, light, seen)
    return outputs


def _seen_light(keras: ModuleType, light: Any, seen: Any) -> Any:
    """The light that the features tell, and what the thumbnail adds to it; nothing at the start."""
    return keras.layers.Add(name="light.seen")([light, _dense(keras, seen, 27, "light_layers.1")])


class Tied(NamedTuple):
    """Encoders on one trunk, as a training aid: one pass instead of several.

    Attributes:
        encoders: name -> encoder; those of one trunk share its layers.
        together: image -> the outputs of all encoders of the trunk by name, and ``features``.
    """

    encoders: dict[str, Any]
    together: Any


def tied_encoders(
    keras: ModuleType, n_shape: int = N_SHAPE, n_exp: int = N_EXP, shrink: int = 1, trunk: str = "mobilenet_v3"
) -> Tied:
    """Shape and expression encoder on one trunk; on the separable one also the pose encoder.

    MobileNetV3's pose encoder has a smaller trunk of its own (SMIRK) and stays apart.
    """
    image, x = seen_by(keras, "large", shrink, trunk)
    shape = shape_head(keras, x, n_shape, seen=thumbnail(keras, image, trunk))
    heads = {"shape_encoder": shape, "expression_encoder": expression_head(keras, x, n_exp)}
    if trunk == "separable":
        heads["pose_encoder"] = pose_head(keras, x)
    encoders = {name: keras.Model(image, outputs, name=name) for name, outputs in heads.items()}
    outputs = {key: value for head in heads.values() for key, value in head.items()}
    together = keras.Model(image, outputs | {"features": x}, name="tied")
    if trunk == "mobilenet_v3":
        encoders["pose_encoder"] = pose_encoder(keras, shrink=shrink)
    return Tied(encoders, together)


def with_features(keras: ModuleType, encoder: Any) -> Any:
    """An encoder that also gives its trunk's ``features``."""
    return keras.Model(
        encoder.input, encoder.output | {"features": encoder.get_layer("encoder.pool").output}, name=encoder.name
    )


def expression_encoder(
    keras: ModuleType,
    n_exp: int = N_EXP,
    name: str = "expression_encoder",
    shrink: int = 1,
    trunk: str = "mobilenet_v3",
) -> Any:
    """Image -> ``{"exp": [B, n_exp], "eyelid": [B, 2] in 0..1, "jaw": [B, 3]}``.

    The jaw opens only (x >= 0) and turns at most 0.2 radians to the sides, as in SMIRK. Expressions are not bounded:
    see :func:`kept_in_range`.
    """
    image, x = seen_by(keras, "large", shrink, trunk)
    return keras.Model(image, expression_head(keras, x, n_exp), name=name)


def expression_head(keras: ModuleType, x: Any, n_exp: int = N_EXP) -> dict[str, Any]:
    """Features -> the three outputs of :func:`expression_encoder`; jaw and eyelids are clamped."""
    layers, head = keras.layers, "expression_layers.0.rows"
    exp = _dense(keras, x, n_exp, f"{head}.0.{n_exp}", 0.1)
    eyelid = _dense(keras, x, 2, f"{head}.{n_exp}.{n_exp + 2}", 0.1)
    opening = _dense(keras, x, 1, f"{head}.{n_exp + 2}.{n_exp + 3}", 0.1, OPEN)
    sides = _dense(keras, x, 2, f"{head}.{n_exp + 3}.{n_exp + 5}", 0.1)
    sides = _clamped(keras, sides, -JAW_LIMIT, JAW_LIMIT, "jaw")
    jaw = layers.Concatenate(name="jaw")([layers.ReLU(name="jaw.open")(opening), sides])
    return {"exp": exp, "eyelid": layers.ReLU(max_value=1.0, name="eyelid")(eyelid), "jaw": jaw}


def _clamped(keras: ModuleType, x: Any, low: float, high: float, name: str) -> Any:
    """``x`` kept between the limits, by stock layers, so that tf_keras and every converter know them."""
    layers = keras.layers
    if low:
        x = layers.Rescaling(1.0, -low, name=f"{name}.shift")(x)
    x = layers.ReLU(max_value=high - low, name=f"{name}.clamp")(x)
    return layers.Rescaling(1.0, low, name=f"{name}.unshift")(x) if low else x


def kept_in_range(keras: ModuleType, encoder: Any, limits: tuple[float, float] | None) -> Any:
    """An expression encoder whose ``exp`` keeps to what the head's axes mean, on the same layers and weights.

    A head whose coefficients are shares of a movement (0..1) knows no negative ones; a regression gives them as noise.
    Training clamps outside the network (:mod:`training.projection`): run directories hold encoders without it, and
    Keras orders their variables otherwise.

    Args:
        keras: the Keras module that the encoder was built with.
        encoder: an :func:`expression_encoder`; one that keeps to these limits already comes back as it is.
        limits: see :attr:`emoca_tf.flame.head.HeadModel.exp_limits`; None changes nothing.

    Raises:
        UserError: the encoder gives no ``exp`` by name, or keeps to other limits.
    """
    kept = _limits_of(encoder)
    if kept == limits:
        return encoder
    if kept is not None or limits is None:
        raise UserError(f"expressions of network '{encoder.name}' are kept to {kept}, those of this head to {limits}")
    if not isinstance(encoder.output, dict) or "exp" not in encoder.output:
        raise UserError(f"network '{encoder.name}' gives no expression under the name exp")
    exp = _clamped(keras, encoder.output["exp"], *limits, name="exp")
    return keras.Model(encoder.input, encoder.output | {"exp": exp}, name=encoder.name)


def _limits_of(encoder: Any) -> tuple[float, float] | None:
    """What :func:`kept_in_range` was asked for."""
    layers = {layer.name: layer for layer in encoder.layers}
    if "exp.clamp" not in layers:
        return None
    low = float(layers["exp.unshift"].offset) if "exp.unshift" in layers else 0.0
    return low, low + float(layers["exp.clamp"].max_value)


def mobile_encoder(keras: ModuleType, n_shape: int = N_SHAPE, n_exp: int = N_EXP, name: str = "mobile") -> Any:
    """The three encoders as one model: image -> ``shape, tex, exp, pose, cam, light [B, 27], eyelid`` by name.

    Args:
        keras: the Keras module to build with.
        n_shape: see :func:`shape_encoder`.
        n_exp: see :func:`expression_encoder`.
        name: name of the model.
    """
    image = keras.Input((IMAGE_SIZE, IMAGE_SIZE, 3), name="image")
    pose, shape = pose_encoder(keras)(image), shape_encoder(keras, n_shape)(image)
    expression = expression_encoder(keras, n_exp)(image)
    codes = {
        **shape,
        "exp": expression["exp"],
        "pose": keras.layers.Concatenate(name="pose")([pose["global"], expression["jaw"]]),
        "cam": pose["cam"],
        "eyelid": expression["eyelid"],
    }
    return keras.Model(image, codes, name=name)


def mobile_codes(pose: Mapping[str, Any], shape: Mapping[str, Any], expression: Mapping[str, Any]) -> Codes:
    """The outputs of the three encoders under the coarse encoder's names.

    Args:
        pose: output of :func:`pose_encoder`.
        shape: output of :func:`shape_encoder` with ``appearance``.
        expression: output of :func:`expression_encoder`.

    Returns:
        Codes with TensorFlow arrays; ``eyelid`` is ``[B, 2]`` in SMIRK's order.
    """
    import tensorflow as tf

    return Codes(
        shape=shape["shape"],
        tex=shape["tex"],
        exp=expression["exp"],
        pose=tf.concat([pose["global"], expression["jaw"]], 1),
        cam=pose["cam"],
        light=tf.reshape(shape["light"], (-1, 9, 3)),
        eyelid=expression["eyelid"],
    )
