"""Adam with a smaller step for layers of many inputs.

Adam moves every weight by about the learning rate. The sum over hundreds of rectified, hence positive, inputs then
moves by hundreds of rates in one step: such a layer forgets its start in the first steps, and with a rectifier behind
it can fall silent for good. Theory: step sizes in proportion to 1 / inputs (Yang et al., Tensor Programs V, 2022).
"""

from __future__ import annotations

from typing import Any

import keras

WIDE = 500
"""Dense kernels with more inputs count as wide (MobileNetV3's heads, too)."""


class CalmAdam(keras.optimizers.Adam):
    """Adam whose learning rate is multiplied by ``calm`` for dense kernels of more than :data:`WIDE` inputs.

    Args:
        learning_rate: a number or schedule.
        calm: factor for wide kernels; 1 is plain Adam.
        **options: of :class:`keras.optimizers.Adam`.
    """

    def __init__(self, learning_rate: Any, calm: float = 1.0, **options: Any) -> None:
        super().__init__(learning_rate, **options)
        self.calm = calm

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        wide = len(variable.shape) == 2 and variable.shape[0] > WIDE
        super().update_step(gradient, variable, learning_rate * self.calm if wide else learning_rate)
