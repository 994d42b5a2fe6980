"""Which image comes when: a pure function of (seed, position), so that training resumes anywhere at once.

Position ``p`` counts images over the whole run and over all shards. Without balancing, every epoch is a fresh
permutation; balanced, images are drawn with replacement with weight 1 / class count (``balanced_expr`` of
emoca:gdl/datasets/AffectNetDataModule.py, spec 5.1).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from emoca_tf.errors import UserError
from training.datasets.source import EXPRESSIONS, UNKNOWN, Source

_ORDER, _EXAMPLE = 0, 1  # independent random streams of one seed


def example_rng(seed: int, position: int, attempt: int = 0) -> np.random.Generator:
    """The generator that makes and augments the image at ``position``."""
    return np.random.default_rng((seed, _EXAMPLE, position, attempt))


def balanced_weights(expression: np.ndarray, power: float = 1.0) -> np.ndarray:
    """``[N]`` sampling probabilities: classes equally likely, images of a class equally likely, unknown never.

    Args:
        expression: classes.
        power: of the weight 1 / class count; 1 balances fully, 0 leaves classes as frequent as they are.

    Raises:
        UserError: if no image has a class.
    """
    counts = np.bincount(expression[expression != UNKNOWN], minlength=len(EXPRESSIONS))
    if not counts.sum():
        raise UserError("balanced sampling needs expression labels and this data has none; use balanced=False")
    weights = np.where(expression == UNKNOWN, 0.0, (1.0 / np.maximum(counts, 1)[expression]) ** power)
    return weights / weights.sum()


def training_order(
    source: Source, seed: int, *, balanced: bool = False, ring: int = 1, power: float = 1.0
) -> Callable[[int], int]:
    """Position -> index of the source, endless.

    Args:
        source: the data; ``ring > 1`` needs its ``persons``.
        seed: of the run.
        balanced: classes equally often.
        ring: so many consecutive positions show one person (DECA's K); persons come in shuffled epochs. Images of a
            person are distinct where it has enough of them.
        power: how far classes are balanced, see :func:`balanced_weights`.

    Raises:
        UserError: if the source is empty or lacks what was asked for.
    """
    if ring < 1:
        raise ValueError(f"ring must be at least 1, received {ring}")
    if not len(source):
        raise UserError("the data set is empty")
    mixed = getattr(source, "order", None)
    if mixed is not None:  # a mixture orders its parts
        return mixed(seed, balanced=balanced, ring=ring, power=power)
    if ring > 1:
        if balanced:
            raise UserError("balanced sampling and rings of one person exclude each other; choose one")
        return _rings(source, seed, ring)
    if balanced:
        return _balanced(source.labels.expression, seed, power)
    permutation = _permutations(len(source), seed)
    return lambda position: int(permutation(position // len(source))[position % len(source)])


def _permutations(count: int, seed: int) -> Callable[[int], np.ndarray]:
    @lru_cache(maxsize=2)  # workers run a little ahead into the next epoch
    def permutation(epoch: int) -> np.ndarray:
        return np.random.default_rng((seed, _ORDER, epoch)).permutation(count)

    return permutation


def _balanced(expression: np.ndarray, seed: int, power: float) -> Callable[[int], int]:
    edges = np.cumsum(balanced_weights(expression, power))
    last = int(np.flatnonzero(np.diff(edges, prepend=0.0) > 0)[-1])

    def index(position: int) -> int:
        u = np.random.default_rng((seed, _ORDER, position)).random()
        return min(int(np.searchsorted(edges, u, side="right")), last)

    return index


def _rings(source: Source, seed: int, ring: int) -> Callable[[int], int]:
    if source.persons is None:
        raise UserError(f"ring={ring} needs data that knows persons; this data does not (use ring=1)")
    by_person = np.argsort(source.persons, kind="stable")
    _, starts, counts = np.unique(source.persons[by_person], return_index=True, return_counts=True)
    keep = counts > 1
    if not keep.any():
        raise UserError(f"ring={ring} needs persons with at least two images; this data has none")
    starts, counts = starts[keep], counts[keep]
    permutation = _permutations(len(starts), seed)

    @lru_cache(maxsize=1024)
    def chosen(group: int) -> np.ndarray:
        person = permutation(group // len(starts))[group % len(starts)]
        rng = np.random.default_rng((seed, _ORDER, 1, group))
        picks = rng.choice(counts[person], ring, replace=bool(counts[person] < ring))
        return by_person[starts[person] + picks]

    return lambda position: int(chosen(position // ring)[position % ring])
