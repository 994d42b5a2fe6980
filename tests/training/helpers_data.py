"""A small source of photographs made of numbers, for tests of everything that is not a reader."""

from __future__ import annotations

import numpy as np

from emoca_tf.errors import UserError
from training.datasets.source import Labels

FACE = 100 + 60 * np.stack([np.cos(np.arange(478)), np.sin(np.arange(478))], 1)
"""``[478, 2]`` pixels: a ring of points."""


class Numbers:
    """``count`` pictures 200 x 240 whose first channel is the index; some of them broken."""

    def __init__(self, count: int, classes: np.ndarray | None = None, broken: tuple[int, ...] = ()) -> None:
        self.ids = [f"n{i}" for i in range(count)]
        self.labels = Labels.unknown(count) if classes is None else Labels.of_classes(classes)
        self.persons: np.ndarray | None = None
        self.broken = broken

    def __len__(self) -> int:
        return len(self.ids)

    def example(self, index: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        if index in self.broken:
            raise UserError(f"{self.ids[index]} is damaged")
        image = np.zeros((200, 240, 3), np.uint8)
        image[..., 0] = index
        image[..., 1] = rng.integers(0, 255, (200, 240))
        marks = np.concatenate([FACE, np.ones((478, 1))], 1).astype(np.float32)
        return {"image": image, "landmarks": marks}
