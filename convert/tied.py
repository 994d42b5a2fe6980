"""Pose and shape encoder as one network, where training gave both the same trunk.

A trunk is nearly all of an encoder. Two that are tied (recipe ``mobile_pose``) look at the same crop with the same
kernels: one file with the outputs of both is half as large and needs one pass instead of two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from emoca_tf.encoders.mobilenet_v3 import pose_head, seen_by, shape_head, thumbnail

if TYPE_CHECKING:
    from convert.networks import Network

NAME = "pose_shape"
PARTS = ("pose", "shape")


def pose_shape_encoder(keras: ModuleType, n_shape: int, **trunk: Any) -> Any:
    """Image -> the outputs of pose and shape encoder by name.

    Args:
        keras: the Keras module to build with.
        n_shape: identity coefficients.
        trunk: how the trunk is built, see :func:`emoca_tf.encoders.mobilenet_v3.seen_by`.
    """
    image, features = seen_by(keras, "large", **trunk)
    shape = shape_head(keras, features, n_shape, seen=thumbnail(keras, image, trunk.get("trunk", "mobilenet_v3")))
    return keras.Model(image, pose_head(keras, features) | shape, name=NAME)


def joined(networks: Mapping[str, Network], n_shape: int, trunk: Mapping[str, Any]) -> dict[str, Network]:
    """The networks with :data:`PARTS` as one where their trunks are equal; else as they were.

    Args:
        networks: encoders by name.
        n_shape: identity coefficients.
        trunk: how the encoders' trunks are built.
    """
    import keras

    pose, shape = (networks.get(name) for name in PARTS)
    if pose is None or shape is None or not tied(pose.model, shape.model):
        return dict(networks)

    def build(module: ModuleType) -> Any:
        return pose_shape_encoder(module, n_shape, **trunk)

    model = build(keras)
    for part in (pose.model, shape.model):
        for layer in part.layers:
            if layer.weights:
                model.get_layer(layer.name).set_weights(layer.get_weights())
    rest = {name: network for name, network in networks.items() if name not in PARTS}
    return {NAME: replace(pose, name=NAME, model=model, build=build)} | rest


def tied(first: Any, second: Any) -> bool:
    """Whether two encoders have a trunk in common: layers of the same names, and in them the same numbers."""
    weights = {layer.name: layer.get_weights() for layer in first.layers if layer.weights}
    shared = [layer for layer in second.layers if layer.name in weights]
    return bool(shared) and all(
        len(weights[layer.name]) == len(layer.get_weights())
        and all(map(np.array_equal, weights[layer.name], layer.get_weights()))
        for layer in shared
    )
