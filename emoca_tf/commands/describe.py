"""``emoca-tf describe``: what a head model is."""

from __future__ import annotations

import json
from typing import Any

import click


@click.command()
@click.argument("head", default="default")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def command(head: str, as_json: bool) -> None:
    """Print counts, axes by name, joints, landmarks, regions, units and licence of HEAD (a .npz file, or default)."""
    from emoca_tf.flame.head import HeadModel

    facts = _facts(HeadModel.load(head))
    if as_json:
        click.echo(json.dumps(facts, indent=1))
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key} {count}" for key, count in value.items()) or "none"
        elif isinstance(value, list):
            value = ", ".join(map(str, value))
        click.echo(click.wrap_text(f"{name:<{width}}  {value}", 110, "", " " * (width + 2)))


def _facts(head: Any) -> dict[str, Any]:
    from emoca_tf.flame.head import JOINTS

    return {
        "name": head.name,
        "vertices": head.n_vertices,
        "triangles": len(head.f),
        "units": "metres; x to the person's left, y up, z out of the face; rotations axis-angle radians",
        "joints": list(JOINTS),
        "identity axes": head.n_shape,
        "expression axes": head.n_exp,
        "expression names": list(head.expression_names),
        "expression range": "standard normal"
        if head.exp_range is None
        else f"{float(head.exp_range.min()):g} to {float(head.exp_range.max()):g}",
        "texture vertices": 0 if head.uv is None else len(head.uv),
        "landmarks": {name: table.faces_idx.shape[-1] for name, table in head.landmarks.items()},
        "regions": {name: len(vertices) for name, vertices in head.masks.items()},
        "eyelid shapes": head.eyelids is not None,
        "licence": head.licence or "unknown",
        "source": head.source or "unknown",
    }
