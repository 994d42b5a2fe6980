"""Several sources as one: ``data=2*rendered:FACES.npz+3*packed:PHOTOS`` draws two of the one, three of the other.

What one source knows and another does not (true codes, taught codes) is NaN in the rows of the other; landmarks that
nobody knows are invalid. The losses leave such rows out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from emoca_tf.errors import UserError
from training.datasets.crops import CODES, TAUGHT
from training.datasets.sampling import training_order
from training.datasets.source import Labels, Source


class Mixture:
    """A :class:`~training.datasets.source.Source` that draws from others in fixed shares.

    Args:
        parts: the sources.
        shares: how many of ``sum(shares)`` consecutive positions each source fills.
    """

    def __init__(self, parts: Sequence[Source], shares: Sequence[int]) -> None:
        if len(parts) != len(shares) or min(shares) < 1:
            raise ValueError(f"{len(parts)} sources need as many shares of at least 1; received {list(shares)}")
        self.parts, self.shares = list(parts), list(shares)
        self.starts = np.cumsum([0, *map(len, parts)])
        self.ids: Sequence[str] = [identity for part in parts for identity in part.ids]
        self.labels = Labels.joined([part.labels for part in parts])
        self.persons: np.ndarray | None = None
        self.blank = self._blank()

    def _blank(self) -> dict[str, np.ndarray]:
        """NaN in place of every code that any part knows."""
        blank: dict[str, np.ndarray] = {}
        for part in self.parts:
            example = part.example(0, np.random.default_rng(0))
            blank |= {k: np.full_like(v, np.nan) for k, v in example.items() if k in (*CODES, *TAUGHT)}
        return blank

    def __len__(self) -> int:
        return int(self.starts[-1])

    def example(self, index: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        part = int(np.searchsorted(self.starts, index, side="right")) - 1
        return self.blank | self.parts[part].example(index - int(self.starts[part]), rng)

    def order(self, seed: int, *, balanced: bool, ring: int, power: float) -> Callable[[int], int]:
        """Position -> index, see :func:`training.datasets.sampling.training_order`.

        Raises:
            UserError: rings were asked for.
        """
        if ring > 1:
            raise UserError("a mixture of sources knows no persons; use ring=1")
        orders = [
            # Balanced drawing never draws pictures without a class; where there are some, all are drawn.
            training_order(p, seed, balanced=balanced and bool((p.labels.expression >= 0).all()), power=power)
            for p in self.parts
        ]
        period = sum(self.shares)
        # Every part's turns evenly spread over the period.
        turns = sorted(((k + 0.5) / share, part, k) for part, share in enumerate(self.shares) for k in range(share))

        def index(position: int) -> int:
            _, part, turn = turns[position % period]
            return int(self.starts[part]) + orders[part](position // period * self.shares[part] + turn)

        return index
