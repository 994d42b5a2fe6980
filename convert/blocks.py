"""The FLAME layer in blocks of vertices, each multiplied only with the codes that move it.

Most directions of a head are zero for most of it: nobody's brow raises the chin, on a phone neither neck nor eyes are
posed, and a head may have few pose correctives. Stored and multiplied they cost as much as the rest. The vertices are
sorted into blocks that obey much the same codes, and put back into their order at the end: nothing is approximated.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from scipy.cluster.hierarchy import fcluster, linkage

from emoca_tf.flame.head import JOINTS, HeadModel
from emoca_tf.flame.layer import Flame

BLOCKS = 4
"""XNNPACK joins up to four tensors at once; with 12 blocks the default head would be 6 % smaller still."""
CANDIDATES = 256
STILL = 1e-6
"""Metres that one unit of a code must move a vertex to count; a micrometre is nothing to see."""
TINY = 1e-12
_JAW = JOINTS.index("jaw") - 1  # the only joint besides the first that a phone's pose turns; the first has no feature


class Block(NamedTuple):
    """Vertices that obey the same codes.

    Attributes:
        vertices: rows of the head.
        codes: columns of identity, expression and pose feature together.
    """

    vertices: np.ndarray
    codes: np.ndarray


def moving(head: HeadModel) -> np.ndarray:
    """``[V, S + E + 36]`` bool: which codes move which vertex, with neck and eyes at rest."""
    correctives = np.zeros_like(head.posedirs)
    jaw = slice(9 * _JAW, 9 * _JAW + 9)
    correctives[:, :, jaw] = head.posedirs[:, :, jaw]
    return np.asarray(np.abs(np.concatenate([head.shapedirs, correctives], 2)).max(1) > STILL)


def blocks(used: np.ndarray, count: int = BLOCKS) -> list[Block]:
    """Blocks of few numbers in all, found by joining alike ones.

    Args:
        used: see :func:`moving`.
        count: at most so many.
    """
    patterns, member = np.unique(used, axis=0, return_inverse=True)
    member = member.reshape(-1)
    if len(patterns) > CANDIDATES:
        member = fcluster(linkage(patterns, "ward"), CANDIDATES, "maxclust")[member]
    found = [np.flatnonzero(member == label) for label in np.unique(member)]
    codes = [used[rows].any(0) for rows in found]
    while len(found) > count:
        first, second = _cheapest(np.array([len(rows) for rows in found]), np.array(codes))
        found[first] = np.union1d(found[first], found.pop(second))
        codes[first] = codes[first] | codes.pop(second)
    return [Block(rows, np.flatnonzero(which)) for rows, which in zip(found, codes, strict=True)]


def _cheapest(rows: np.ndarray, codes: np.ndarray) -> tuple[int, int]:
    """The pair, smaller index first, that adds the fewest numbers when it becomes one block."""
    own = codes.sum(1)
    union = own + own[:, None] - codes.astype(np.float32) @ codes.T
    growth = (rows + rows[:, None]) * union - rows * own - (rows * own)[:, None]
    growth[np.tril_indices(len(rows))] = np.inf
    first, second = divmod(int(growth.argmin()), len(rows))
    return first, second


class BlockFlame(Flame):
    """:class:`Flame` whose directions are stored by block; its vertices stand in the order of the blocks.

    The directions of a coordinate are divided by the largest and multiplied by it again, so that in 8 bits all have the
    same scale, see :func:`convert.scales.shared`.

    Args:
        head: the head model, with directions scaled or not.
        parts: a partition of its vertices.
    """

    def __init__(self, head: HeadModel, parts: list[Block], **kwargs: Any) -> None:
        order = np.concatenate([part.vertices for part in parts])
        super().__init__(reordered(head, order), **kwargs)
        self.place = np.argsort(order)
        """``[V]`` where a vertex of the head stands among the layer's."""
        self._codes = [part.codes for part in parts]
        ends = np.cumsum([len(part.vertices) for part in parts])
        planes = np.asarray(self._constants["directions"]).reshape(-1, 3, head.n_vertices)
        own = [
            planes[part.codes, :, end - len(part.vertices) : end].reshape(len(part.codes), -1)
            for part, end in zip(parts, ends, strict=True)
        ]
        sizes = [np.maximum(np.abs(directions).max(0), TINY) for directions in own]
        self._directions = [directions / size for directions, size in zip(own, sizes, strict=True)]
        self._size = np.concatenate([size.reshape(3, -1) for size in sizes], 1).reshape(-1)

    def _deform(self, codes: tf.Tensor) -> tf.Tensor:
        chosen = tf.gather(codes, np.concatenate(self._codes), axis=1)
        parts, start = [], 0
        for columns, directions in zip(self._codes, self._directions, strict=True):
            offsets = chosen[:, start : start + len(columns)] @ directions
            parts.append(tf.reshape(offsets, (-1, 3, directions.shape[1] // 3)))
            start += len(columns)
        return tf.reshape(tf.concat(parts, 2), (-1, len(self._size))) * self._size


def reordered(head: HeadModel, order: np.ndarray) -> HeadModel:
    """The head with its vertices in another order, as far as :class:`Flame` reads it."""
    place = np.argsort(order)
    return replace(
        head,
        v_template=head.v_template[order],
        f=place[head.f].astype(head.f.dtype),
        shapedirs=head.shapedirs[order],
        posedirs=head.posedirs[order],
        weights=head.weights[order],
        J_regressor=head.J_regressor[:, order],
        eyelids=None if head.eyelids is None else head.eyelids[:, order],
        mediapipe_indices=None,
        masks={},
        uv=None,
        uv_faces=None,
    )
