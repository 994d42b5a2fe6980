"""Devices, precision and determinism of a run; one process or several (``TF_CONFIG``)."""

from __future__ import annotations

import json
import os

import keras
import tensorflow as tf

from emoca_tf.errors import UserError
from training.config import Config


def prepare(config: Config) -> tf.distribute.Strategy:
    """Set seeds, determinism and precision; choose the strategy.

    Several workers in ``TF_CONFIG``: MultiWorkerMirrored. Several GPUs: Mirrored. Otherwise the default strategy.

    Raises:
        UserError: ``TF_CONFIG`` is damaged, or the batch does not divide among the replicas.
    """
    strategy = choose_strategy()
    keras.utils.set_random_seed(config.seed)
    tf.config.experimental.enable_op_determinism()
    keras.mixed_precision.set_global_policy(config.precision)
    replicas = strategy.num_replicas_in_sync
    if config.batch_size % (replicas * config.ring):
        raise UserError(
            f"batch_size {config.batch_size} does not divide among {replicas} replicas"
            + (f" in rings of {config.ring}" if config.ring > 1 else "")
        )
    return strategy


def workers() -> tuple[int, int]:
    """Index of this worker and number of workers, from ``TF_CONFIG``; (0, 1) without it.

    Raises:
        UserError: ``TF_CONFIG`` is damaged.
    """
    text = os.environ.get("TF_CONFIG", "")
    if not text:
        return 0, 1
    try:
        setting = json.loads(text)
        return int(setting["task"]["index"]), len(setting["cluster"]["worker"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"TF_CONFIG is damaged ({error!r}); see docs/scaling.md for an example") from None


def choose_strategy() -> tf.distribute.Strategy:
    """See :func:`prepare`."""
    if workers()[1] > 1:
        return tf.distribute.MultiWorkerMirroredStrategy()
    if len(tf.config.list_physical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()
