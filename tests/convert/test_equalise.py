"""Equalised channels: the same outputs, less to lose by 8 bits in common."""

from dataclasses import replace

import helpers_convert as helpers
import keras
import numpy as np

from convert import parity
from convert.data import calibration
from convert.equalise import _gains, _groups, equalised
from convert.export import convert
from convert.networks import Network
from convert.outputs import file_outputs
from emoca_tf.capture.tflite import TFLiteModel
from emoca_tf.encoders.mobilenet_v3 import expression_encoder
from emoca_tf.encoders.resnet import resnet50_encoder


def uneven(network):
    """The same function with hidden channels of very different size, which 8 bits in common cannot hold."""
    model = helpers.tiny_encoder(keras)
    for layer in network.model.layers:
        if layer.weights:
            model.get_layer(layer.name).set_weights(layer.get_weights())
    for norm, reader in (("pw1.bn", "dw2"), ("dw2.bn", "pw2")):
        gamma, beta, *rest = model.get_layer(norm).get_weights()
        factor = np.where(np.arange(len(gamma)) % 6 == 0, 60.0, 1.0).astype(np.float32)
        model.get_layer(norm).set_weights([gamma * factor, beta * factor, *rest])
        (kernel,) = model.get_layer(reader).get_weights()
        model.get_layer(reader).set_weights([kernel / factor[:, None]])
    return replace(network, model=model)


def test_equalising_recovers_what_uneven_channels_lose():
    images = helpers.face_images()
    network = uneven(helpers.tiny_network())
    even = equalised(network, images)
    reference = parity.reference_outputs(network, {"image": images})
    for name, value in parity.reference_outputs(even, {"image": images}).items():
        np.testing.assert_allclose(value, reference[name], atol=1e-5)
    rows = calibration({"image": images[:8]})
    errors = []
    for one in (network, even):
        found = file_outputs(TFLiteModel(convert(one, "int8", rows)), {"image": images})
        errors.append(parity.compare(reference, found)["exp"]["mae"])
    assert errors[1] < 0.5 * errors[0], errors


def test_every_hidden_channel_of_the_mobile_encoder_is_in_a_group():
    model = expression_encoder(keras)
    groups = _groups(model)
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert sum(len(group.makers) for group in groups) == len(norms)
    assert not any(group.fixed for group in groups)
    assert [group.makers[0].name for group in groups if not _gains(group)] == ["encoder.blocks.6.0.bn1"]  # pooled
    readers = {reader.name for group in groups for reader in group.readers}
    convolutions = {layer.name for layer in model.layers if isinstance(layer, keras.layers.Conv2D)}
    assert convolutions - readers == {"encoder.conv_stem"}


def test_residual_networks_keep_their_function():
    model = resnet50_encoder(keras, 7, "small", stages=((8, 2), (16, 1)))
    helpers.adapt(model, helpers.face_images()[:4], rounds=1)
    network = Network("coarse", model, "encoder", ("codes",),
                      lambda k: resnet50_encoder(k, 7, "small", stages=((8, 2), (16, 1))))  # fmt: skip
    even = equalised(network, helpers.face_images()[:4])
    assert even.model is not model
    a, b = (one.model(helpers.face_images()[:4], training=False) for one in (network, even))
    np.testing.assert_allclose(a, b, atol=1e-4 * float(np.abs(a).max()))
    changed = 0
    for layer, other in zip(model.layers, even.model.layers, strict=True):
        pairs = zip(layer.get_weights(), other.get_weights(), strict=True)
        changed += any(not np.allclose(x, y) for x, y in pairs)
    assert changed > 6


def test_convolutions_without_batch_norm_are_equalised():
    """The embedded encoders' running sums: every convolution of a block makes channels of the same sum."""
    model = expression_encoder(keras, trunk="separable")
    images = helpers.face_images()[:4]
    network = Network("expression", model, "encoder", build=lambda k: expression_encoder(k, trunk="separable"))
    free = [group for group in _groups(model) if _gains(group)]
    sums = [group for group in free if len(group.makers) > 1]
    assert len(sums) >= 3
    others = {r.name for group in sums for r in group.readers if type(r).__name__ != "DepthwiseConv2D"}
    assert others == {"encoder.fine.0"}  # the finer places
    even = equalised(network, images)
    for name, value in parity.reference_outputs(network, {"image": images}).items():
        np.testing.assert_allclose(even.model(images, training=False)[name], value, atol=1e-4)
    tensors = sums[0].tensors[1:3]
    before, after = (_peaks(one.model, [t for g in _groups(one.model) if len(g.makers) > 1 for t in g.tensors][1:3],
                            images) for one in (network, even))  # fmt: skip
    assert len(tensors) == 2
    assert after.min() / after.max() > 2 * before.min() / before.max()


def _peaks(model, tensors, images):
    values = keras.Model(model.inputs[0], tensors)(images, training=False)
    return np.max([np.abs(np.asarray(value)).max((0, 1, 2)) for value in values], axis=0)
