"""Devices, precision and determinism of a run; one process or several (``TF_CONFIG``)."""

from __future__ import annotations

import json
import os

import keras
import tensorflow as tf

from emoca_tf.errors import UserError
from training.config import Config


def prepare(config: Config) -> tuple[tf.distribute.Strategy, bool]:
    """Set seeds, determinism and precision; choose the strategy.

    Several workers in ``TF_CONFIG``: MultiWorkerMirrored. Several GPUs: Mirrored. Otherwise the default strategy.

    Returns:
        The strategy, and whether this process is the one that writes files.

    Raises:
        UserError: ``TF_CONFIG`` is damaged, or the batch does not divide among the replicas.
    """
    strategy, chief = choose_strategy()
    keras.utils.set_random_seed(config.seed)
    tf.config.experimental.enable_op_determinism()
    keras.mixed_precision.set_global_policy(config.precision)
    replicas = strategy.num_replicas_in_sync
    if config.batch_size % (replicas * config.ring):
        raise UserError(
            f"batch_size {config.batch_size} does not divide among {replicas} replicas"
            + (f" in rings of {config.ring}" if config.ring > 1 else "")
        )
    return strategy, chief


def choose_strategy() -> tuple[tf.distribute.Strategy, bool]:
    """See :func:`prepare`."""
    text = os.environ.get("TF_CONFIG", "")
    if text:
        try:
            setting = json.loads(text)
            workers, index = setting["cluster"]["worker"], int(setting["task"]["index"])
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"TF_CONFIG is damaged ({error}); see docs/scaling.md for an example") from None
        if len(workers) > 1:
            return tf.distribute.MultiWorkerMirroredStrategy(), index == 0
    if len(tf.config.list_physical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy(), True
    return tf.distribute.get_strategy(), True
