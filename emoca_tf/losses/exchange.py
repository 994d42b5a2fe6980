"""Consistency by exchange: pictures of one person share shape (DECA) or detail (EMOCA), so any of them may lend it.

Source: ``DECA:decalib/trainer.py`` training_step, the paper's L_sc and L_dc (losses 4.5, 4.10).
"""

from __future__ import annotations

import tensorflow as tf


def ring_permutation(batch: int, ring: int, seed: tf.Tensor) -> tf.Tensor:
    """A random order inside every ring.

    Args:
        batch: rows, a multiple of ``ring``.
        ring: K pictures of one person stand side by side.
        seed: ``[2]`` integers; the same seed gives the same order.

    Returns:
        ``[batch]`` int32 row numbers.

    Raises:
        ValueError: if ``batch`` is no multiple of ``ring``.
    """
    if ring < 1 or batch % ring:
        raise ValueError(f"a batch of {batch} cannot be cut into rings of {ring}")
    keys = tf.random.stateless_uniform([batch // ring, ring], seed)
    order = tf.argsort(keys, axis=1)
    return tf.reshape(order + tf.range(0, batch, ring)[:, None], [batch])


def exchange(
    groups: dict[str, tf.Tensor], exchanged: str, order: tf.Tensor, also: tuple[str, ...] = ()
) -> dict[str, tf.Tensor]:
    """Append the batch with ``exchanged`` permuted to itself; ordinary losses then apply to all ``2B`` rows.

    Args:
        groups: codes, images, landmarks, masks ... by name, ``[B, ...]`` each.
        exchanged: which of them is permuted, ``shape`` or ``detail``.
        order: ``[B]`` row numbers, see :func:`ring_permutation`.
        also: further groups that move with it.

    Raises:
        KeyError: if a named group is absent.
    """
    moved = (exchanged, *also)
    absent = [name for name in moved if name not in groups]
    if absent:
        raise KeyError(f"no group {absent[0]!r} to exchange; there are {', '.join(sorted(groups))}")
    return {
        name: tf.concat([rows, tf.gather(rows, order) if name in moved else rows], 0) for name, rows in groups.items()
    }
