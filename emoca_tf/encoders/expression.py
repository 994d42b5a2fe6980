"""What the outputs of EMOCA's ``E_expression`` replace in DECA's codes.

Source: emoca:gdl/models/DECA.py, class ExpDECA (spec section 1.2). The released network has 50 outputs, expression
only; jaw and global pose stay those of the frozen coarse encoder.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from emoca_tf.codes import Codes
from emoca_tf.errors import UserError

N_EXP = 50
LAYOUTS: dict[str, int] = {"exp": 50, "exp+jaw": 53, "exp+global": 53, "exp+pose": 56}
"""Layout name -> number of outputs. Behind the 50 expression values come jaw, global rotation, or the whole pose."""


def expression_layout(outputs: int, replaces_global: bool = False) -> str:
    """Name of the layout for a number of outputs, as found in the last linear layer of a checkpoint.

    Args:
        outputs: 50, 53 or 56.
        replaces_global: 53 outputs do not say what the last three are; the jaw is the usual reading, True means the
            global rotation (``exp_deca_global_pose`` without ``exp_deca_jaw_pose``).

    Raises:
        UserError: for another number.
    """
    names = {50: "exp", 53: "exp+global" if replaces_global else "exp+jaw", 56: "exp+pose"}
    if outputs not in names:
        raise UserError(
            f"E_expression with {outputs} outputs is unknown; 50 (expression), 53 (and jaw) and 56 (and pose) exist"
        )
    return names[outputs]


def replace_expression(coarse: Codes, output: Any, layout: str = "exp") -> Codes:
    """Coarse codes with the expression network's values put in.

    Args:
        coarse: codes of ``E_flame``.
        output: ``[B, 50 | 53 | 56]``, NumPy or TensorFlow.
        layout: a key of :data:`LAYOUTS`.

    Raises:
        ValueError: if the layout is unknown or does not fit the output's width.
    """
    if layout not in LAYOUTS or output.shape[-1] != LAYOUTS[layout]:
        raise ValueError(f"layout {layout!r} (of {LAYOUTS}) does not fit outputs of shape {tuple(output.shape)}")
    exp, rest = output[:, :N_EXP], output[:, N_EXP:]
    if layout == "exp":
        return coarse.replace(exp=exp)
    if layout == "exp+pose":
        return coarse.replace(exp=exp, pose=rest)
    parts = [coarse.pose[:, :3], rest] if layout == "exp+jaw" else [rest, coarse.pose[:, 3:]]
    return coarse.replace(exp=exp, pose=_concat(parts))


def _concat(parts: list[Any]) -> Any:
    if all(isinstance(part, np.ndarray) for part in parts):
        return np.concatenate(parts, 1)
    import tensorflow as tf

    return tf.concat(parts, 1)
