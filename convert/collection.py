"""Which networks a conversion is about: those of the trained model, the head, and what reads emotions."""

from __future__ import annotations

from collections.abc import Sequence

from convert.heads import decimated, head_network
from convert.networks import Network, Source
from convert.tied import NAME, PARTS
from emoca_tf.emotion.recognition import EXPRESSIONS
from emoca_tf.errors import UserError


def collect(source: Source, wanted: Sequence[str] = ()) -> dict[str, Network]:
    """Networks by name.

    Args:
        source: the trained networks.
        wanted: names; empty or ``all`` is everything there is.

    Raises:
        UserError: a network was asked for that the model does not have.
    """
    names = set(wanted) or {"all"}
    found = dict(source.networks)
    if names & {"head", "all"}:
        found["head"] = head_network(source.head)
    if names & {"head_small", "all"}:
        found["head_small"] = head_network(decimated(source.head), "head_small", landmarks=False)
    if names & {"emotion", "all"} and "emotion" not in found:
        found["emotion"] = default_emotion()
    if "all" in names:
        return found
    missing = names - found.keys()
    if missing & set(PARTS) and NAME in found:
        raise UserError(f"pose and shape encoder of {source.origin} have one trunk; ask for {NAME}")
    if missing:
        raise UserError(
            f"{source.origin} has no network {', '.join(sorted(missing))}; there are: {', '.join(sorted(found))}"
        )
    return {name: network for name, network in found.items() if name in names}


def default_emotion() -> Network:
    """The embedded emotion network (image to expression, valence, arousal)."""
    import keras

    from emoca_tf.emotion.default import default_network, load_default

    return Network("emotion", load_default(keras), "emotion", build=default_network, labels=EXPRESSIONS)
