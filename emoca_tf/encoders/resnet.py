"""ResNet50 in its two layouts and the DECA/EMOCA encoders built on it.

``keras.applications.ResNet50`` fits neither: it has biases, another epsilon and the stride elsewhere. Every builder
takes the ``keras`` module, so that the same network exists for tf_keras; layers bear the names of the torch modules
they equal.
Sources: DECA:decalib/models/{resnet,encoders,frnet}.py, emoca:gdl/layers/losses/FRNet.py (spec sections 1.2, 1.3, 7.2).
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

IMAGE_SIZE = 224
FEATURES = 2048
BN_EPSILON = 1e-5
BN_MOMENTUM = 0.9  # torch momentum 0.1
STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))
EXPANSION = 4

Tensor = Any
Model = Any


def resnet50_trunk(
    keras: ModuleType,
    x: Tensor,
    prefix: str = "encoder.",
    caffe: bool = False,
    stages: tuple[tuple[int, int], ...] = STAGES,
) -> Tensor:
    """Image ``[B, 224, 224, 3]`` -> ``[B, 2048]`` after global average pooling.

    Args:
        keras: the Keras module to build with.
        x: symbolic image, RGB in 0..1, no normalisation.
        prefix: put before every layer name.
        caffe: stride in the first 1x1 convolution of a block and an unpadded ceil-mode pool (emotion and identity
            networks); otherwise torchvision's layout (stride in the 3x3 convolution, padded pool).
        stages: (width, blocks) of each stage; fewer or thinner ones give a small network for tests.
    """
    layers = keras.layers
    x = layers.ZeroPadding2D(3, name=f"{prefix}pad")(x)
    x = layers.Conv2D(64, 7, strides=2, use_bias=False, name=f"{prefix}conv1")(x)
    x = _norm(keras, x, f"{prefix}bn1")
    x = layers.ReLU(name=f"{prefix}relu")(x)
    # Zeros are neutral for a maximum taken after a ReLU; the ceil-mode pool looks one row past the bottom right.
    x = layers.ZeroPadding2D(((0, 1), (0, 1)) if caffe else 1, name=f"{prefix}maxpool.pad")(x)
    x = layers.MaxPooling2D(3, strides=2, name=f"{prefix}maxpool")(x)
    for stage, (width, blocks) in enumerate(stages, 1):
        for block in range(blocks):
            stride = 2 if stage > 1 and block == 0 else 1
            x = _bottleneck(keras, x, width, stride, block == 0, caffe, f"{prefix}layer{stage}.{block}.")
    return layers.GlobalAveragePooling2D(name=f"{prefix}avgpool")(x)


def _norm(keras: ModuleType, x: Tensor, name: str) -> Tensor:
    return keras.layers.BatchNormalization(epsilon=BN_EPSILON, momentum=BN_MOMENTUM, name=name)(x)


def _bottleneck(keras: ModuleType, x: Tensor, width: int, stride: int, project: bool, caffe: bool, name: str) -> Tensor:
    layers = keras.layers
    first, second = (stride, 1) if caffe else (1, stride)
    y = layers.Conv2D(width, 1, strides=first, use_bias=False, name=f"{name}conv1")(x)
    y = layers.ReLU(name=f"{name}relu1")(_norm(keras, y, f"{name}bn1"))
    # Explicit padding: TensorFlow's "same" pads only bottom right at stride 2 and would shift the features.
    y = layers.ZeroPadding2D(1, name=f"{name}pad")(y)
    y = layers.Conv2D(width, 3, strides=second, use_bias=False, name=f"{name}conv2")(y)
    y = layers.ReLU(name=f"{name}relu2")(_norm(keras, y, f"{name}bn2"))
    y = layers.Conv2D(width * EXPANSION, 1, use_bias=False, name=f"{name}conv3")(y)
    y = _norm(keras, y, f"{name}bn3")
    if project:
        x = layers.Conv2D(width * EXPANSION, 1, strides=stride, use_bias=False, name=f"{name}downsample.0")(x)
        x = _norm(keras, x, f"{name}downsample.1")
    return layers.ReLU(name=f"{name}relu")(layers.Add(name=f"{name}add")([y, x]))


def resnet50_encoder(
    keras: ModuleType,
    outputs: int,
    name: str = "E_flame",
    stages: tuple[tuple[int, int], ...] = STAGES,
    hidden: int = 1024,
) -> Model:
    """DECA's ``ResnetEncoder``: image ``[B, 224, 224, 3]`` RGB 0..1 -> ``[B, outputs]``.

    Args:
        keras: the Keras module to build with.
        outputs: 236 for ``E_flame``, 50, 53 or 56 for ``E_expression``, 128 for ``E_detail``.
        name: name of the model.
        stages: see :func:`resnet50_trunk`.
        hidden: width of the head's hidden layer.
    """
    image = keras.Input((IMAGE_SIZE, IMAGE_SIZE, 3), name="image")
    x = resnet50_trunk(keras, image, stages=stages)
    x = keras.layers.Dense(hidden, name="layers.0")(x)
    x = keras.layers.ReLU(name="layers.1")(x)
    x = keras.layers.Dense(outputs, name="layers.2")(x)
    return keras.Model(image, x, name=name)
