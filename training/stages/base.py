"""What every stage is: networks, the part of them that learns, and named, weighted loss terms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from training.config import Config

Batch = dict[str, tf.Tensor]


class Term(NamedTuple):
    """One loss term.

    Attributes:
        value: scalar; a mean over this replica's batch, or a sum over it.
        weight: λ, a number or (drawn anew in each step) a scalar tensor; 0 makes the term a metric that is shown only.
        summed: True for sums over the batch (regularisers).
    """

    value: tf.Tensor
    weight: Any = 1.0
    summed: bool = False

    @property
    def counts(self) -> bool:
        """Whether the term is learnt from."""
        return not isinstance(self.weight, int | float) or self.weight != 0


class Stage:
    """Base of the stages.

    Attributes:
        config: of the run.
        networks: every network that a checkpoint holds, by name, frozen ones too.
        learning: names of the networks that learn; the others run in inference mode and have no gradient.
        loaded: one line for each network that was initialised from a file.
    """

    config: Config
    networks: dict[str, Any]
    learning: tuple[str, ...]
    loaded: list[str]

    def learnt(self) -> list[Any]:
        """The variables that the optimiser changes, in a fixed order."""
        variables = [variable for name in self.learning for variable in self.networks[name].trainable_variables]
        return list({id(variable): variable for variable in variables}.values())  # tied networks share some

    def prepare(self, labels: Any) -> None:
        """Called once with the training data's :class:`training.datasets.source.Labels`, before the first step."""

    def terms(self, batch: Batch, step: tf.Tensor, learning: bool) -> Mapping[str, Term]:
        """The loss terms of a batch.

        Args:
            batch: see :mod:`training.datasets.pipeline`.
            step: int64 scalar, counts from 0; seeds everything random.
            learning: training mode of the learning networks.
        """
        raise NotImplementedError

    def pictures(self, batch: Batch) -> list[tuple[str, np.ndarray]]:
        """Named columns of pictures ``[n, H, W, 3]`` in 0..1 that show what the networks make of a batch."""
        raise NotImplementedError

    def describe(self) -> list[str]:
        """Parameter counts: one line a network, saying whether it learns."""
        lines = []
        for name, model in self.networks.items():
            kind = "learns" if name in self.learning else "frozen"
            lines.append(f"{name:20s} {model.count_params():>12,} parameters, {kind}")
        return lines


def active(terms: Mapping[str, Term]) -> dict[str, Term]:
    """The terms with a weight; the others are left out, so that they cost nothing."""
    return {name: term for name, term in terms.items() if term.counts}
