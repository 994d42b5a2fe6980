"""Who a face is, for DECA's identity loss: the VGGFace2 ResNet50 and its odd preprocessing.

The weights are the user's own (``resnet50_ft_weight.pkl`` of cydonia999/VGGFace2-pytorch).
Sources: DECA:decalib/models/frnet.py, DECA:decalib/utils/lossfunc.py, class VGGFace2Loss (losses specification 4.3).
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from emoca_tf.encoders.resnet import IMAGE_SIZE, STAGES, resnet50_trunk
from emoca_tf.weights.torch_layout import load_file

MEAN_BGR = (91.4953, 103.8827, 131.0912)
MARGIN = 10
UNUSED = ("fc.*",)
"""The 8631-class layer of the official file."""


def preprocess(images: Any) -> Any:
    """RGB 0..1 ``[B, 224, 224, 3]`` -> what the network was fed in the original, same shape.

    BGR times 255 minus the mean, 10 pixels cut from every side, then ``2x - 1`` (a quirk: applied to values that are
    already mean-subtracted), then bilinear back to 224.
    """
    import tensorflow as tf

    x = images[..., ::-1] * 255.0 - tf.constant(MEAN_BGR, images.dtype)
    x = 2.0 * x[:, MARGIN:-MARGIN, MARGIN:-MARGIN] - 1.0
    return tf.image.resize(x, (IMAGE_SIZE, IMAGE_SIZE))


def identity_network(keras: ModuleType, name: str = "identity", stages: tuple[tuple[int, int], ...] = STAGES) -> Any:
    """Preprocessed image (see :func:`preprocess`) -> ``[B, 2048]``; torch names without a prefix."""
    image = keras.Input((IMAGE_SIZE, IMAGE_SIZE, 3), name="image")
    return keras.Model(image, resnet50_trunk(keras, image, prefix="", caffe=True, stages=stages), name=name)


def load_identity(keras: ModuleType, path: Path | str | None) -> Any:
    """The frozen network with the user's weights.

    Raises:
        UserError: no path, no such file, or other weights; one line that says what is needed.
    """
    model = identity_network(keras)
    load_file(model, path, "the identity loss needs VGGFace2 weights (resnet50_ft_weight.pkl)", ignore=UNUSED)
    model.trainable = False
    return model
