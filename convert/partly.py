"""8-bit computing where it costs next to nothing: large layers one by one, as far as a small error reaches.

Activations that are quantised while running have the range of one picture, not of all, and each layer can do so by
itself. How much that changes the outputs differs a hundredfold between the layers of one network, so it is measured:
one file for every candidate, compared on calibration pictures. Then layers are taken in the order of error for
multiplications saved, until their errors together reach :data:`BUDGET`. Errors of different layers hardly depend on
each other, so their squares add up. Every output counts in parts of how much it varies, one that hardly does
(:data:`convert.outputs.FAINTEST`; the eyelids of a head that closes its eyes by expression) hardly at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from convert.outputs import FAINTEST, errors, file_outputs, stacked
from convert.selective import SMALL_KERNEL, eight_bit_weights, products
from emoca_tf.capture.tflite import TFLiteModel

BUDGET = 2e-5
"""Mean squared error that the outputs may have, in parts of their variance over the pictures: 0.006 mm on
the mobile model's face, and one or two classes in a hundred flip (two or three with 4e-5)."""
FEWEST = 100_000
"""Multiplications that a layer must have to be worth its quantising."""


@dataclass(frozen=True)
class Layer:
    """A layer that could compute in 8 bits.

    Attributes:
        scope: where litert-quantizer finds it.
        multiplications: that it makes.
        error: that the output which differs most then has, see :func:`convert.outputs.errors`.
    """

    scope: str
    multiplications: int
    error: float


def partly_dynamic(content: bytes, rows: Sequence[Mapping[str, np.ndarray]], budget: float = BUDGET) -> bytes:
    """8-bit weights; the layers that bear it compute in 8 bits, the others in float.

    Args:
        content: a float32 file.
        rows: inputs by name that the layers' errors are measured on.
        budget: error that may be added.

    Raises:
        UserError: nothing was quantised.
    """
    plain = eight_bit_weights(content)
    inputs = stacked(rows)
    reference = file_outputs(TFLiteModel(plain), inputs)
    found = []
    for scope, multiplications in candidates(content):
        one = TFLiteModel(eight_bit_weights(content, computed=(scope,)))
        error = max(errors(reference, file_outputs(one, inputs), FAINTEST).values())
        found.append(Layer(scope, multiplications, error))
    chosen = within(found, budget)
    return eight_bit_weights(content, computed=chosen) if chosen else plain


def candidates(content: bytes) -> list[tuple[str, int]]:
    """Scope and multiplications of the layers that are large enough, depthwise ones not among them."""
    return [
        (product.scope, product.multiplications)
        for product in products(content)
        if product.operation != "DEPTHWISE_CONV_2D"
        and product.kernel > SMALL_KERNEL
        and product.multiplications >= FEWEST
    ]


def within(layers: Sequence[Layer], budget: float) -> tuple[str, ...]:
    """Scopes of the layers to take: cheapest error for what is saved first, each that still fits."""
    chosen, spent = [], 0.0
    for layer in sorted(layers, key=lambda layer: layer.error / layer.multiplications):
        if spent + layer.error <= budget:
            chosen.append(layer.scope)
            spent += layer.error
    return tuple(chosen)
