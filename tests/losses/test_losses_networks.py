"""The losses that look through a network, with the golden files' seeded weights."""

import keras
import numpy as np
import tensorflow as tf
from helpers_networks import GOLDEN, golden, seed_weights

from emoca_tf import losses
from emoca_tf.emotion.identity import identity_network
from emoca_tf.encoders.vgg import vgg19_features

with np.load(GOLDEN / "losses_networks.npz") as stored:
    EXPECTED = {name: stored[name] for name in stored.files}


def test_id_mrf_meets_the_official_value_and_gradient():
    network = seed_weights(vgg19_features(keras), "vgg19.")
    generated = tf.constant(golden()["loss/in/mrf_img_gen"].transpose(0, 2, 3, 1))
    target = tf.constant(EXPECTED["in/mrf_img_tar"].transpose(0, 2, 3, 1))
    with tf.GradientTape() as tape:
        tape.watch([generated, target])
        loss = losses.id_mrf(network, generated, target)
    gradient, of_target = tape.gradient(loss, [generated, target])
    np.testing.assert_allclose(loss, EXPECTED["out/idmrf/vgg19_64"][0], rtol=1e-4)
    np.testing.assert_allclose(tf.norm(gradient), EXPECTED["gradnorm/idmrf/vgg19_64"][0], rtol=1e-3)
    assert of_target is None


def test_identity_loss_meets_the_official_value_and_gradient():
    network = seed_weights(identity_network(keras), "idnet.")
    with np.load(GOLDEN / "identity.npz") as stored:
        head = tf.constant(stored["in/id_img0_u8"][None] / np.float32(255))
    photo = tf.constant(EXPECTED["in/id_img1_u8"][None] / np.float32(255))
    with tf.GradientTape() as tape:
        tape.watch([head, photo])
        loss = losses.identity(network, photo, head)
    gradient, of_photo = tape.gradient(loss, [head, photo])
    np.testing.assert_allclose(loss, EXPECTED["out/identity/cosine_similarity"][0], atol=1e-5)
    np.testing.assert_allclose(tf.norm(gradient), EXPECTED["gradnorm/identity/cosine_similarity"][0], rtol=1e-4)
    expected = EXPECTED["out/id_grad_slice"]
    np.testing.assert_allclose(gradient[0, 100:108, 100:108], expected, atol=1e-4 * np.abs(expected).max())
    assert of_photo is None
    assert abs(float(losses.identity(network, photo, photo))) < 1e-5
