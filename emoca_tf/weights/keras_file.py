"""``.keras`` files: written with their card inside, and opened only when they hold nothing but known layers.

A ``.keras`` file names the classes that Keras will look up and call; a foreign one could name anything. So its
configuration is checked against a list before Keras sees it: our own models and plain layers, no Lambda, no code.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

from emoca_tf.errors import UserError
from emoca_tf.io.atomic import atomic_path
from emoca_tf.weights.card import Card

CARD_ENTRY = "emoca_tf.json"
MAX_CONFIG_BYTES = 32 * 2**20
MAX_FILE_BYTES = 4 * 2**30

_OURS = {"emoca_tf>Emoca": ("emoca_tf.model", "Emoca")}
_KERAS_CLASSES = frozenset(
    {
        "Functional", "InputLayer", "Conv2D", "DepthwiseConv2D", "Dense", "BatchNormalization", "ReLU", "LeakyReLU",
        "Add", "Concatenate", "ZeroPadding2D", "MaxPooling2D", "GlobalAveragePooling2D", "UpSampling2D", "Reshape",
        "Permute", "Rescaling", "Activation", "Normalization", "DTypePolicy", "Zeros", "Ones", "Constant",
        "GlorotUniform", "RandomUniform", "__keras_tensor__",
    }
)  # fmt: skip


def save_keras(path: Path, model: Any, card: Card) -> None:
    """Write ``model`` and its card as one ``.keras`` file, atomically."""
    with atomic_path(path) as temporary:
        model.save(temporary)
        with zipfile.ZipFile(temporary, "a") as archive:
            archive.writestr(zipfile.ZipInfo(CARD_ENTRY, (1980, 1, 1, 0, 0, 0)), card.to_json())


def read_card(path: Path) -> Card:
    """The card inside a ``.keras`` file.

    Raises:
        UserError: no ``.keras`` file, damaged, or none of ours.
    """
    return Card.from_json(_entry(path, CARD_ENTRY), str(path))


def load_keras(path: Path) -> Any:
    """Load a model whose configuration names known layers only.

    Raises:
        UserError: damaged file, or one with Lambda layers, custom code or layers that none of our models has.
    """
    try:
        config = json.loads(_entry(path, "config.json"))
    except (ValueError, RecursionError):
        raise UserError(f"{path}: the model's configuration is damaged; get the file again") from None
    refuse_unknown_layers(config, str(path))
    import keras

    import emoca_tf.model  # noqa: F401  registers Emoca

    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, KeyError, OSError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path} cannot be loaded ({' '.join(str(error).split())[:160]}); import it again") from None


def refuse_unknown_layers(config: Any, where: str) -> None:
    """Walk a Keras configuration and refuse every class that is not on the list.

    Raises:
        UserError: naming the first one.
    """
    waiting, seen = [config], 0
    while waiting:
        part = waiting.pop()
        seen += 1
        if seen > 10**6:
            raise UserError(f"{where}: the model's configuration is absurdly large; refused")
        if isinstance(part, list):
            waiting.extend(part)
        if not isinstance(part, dict):
            continue
        if "class_name" in part:
            name, module, registered = part["class_name"], part.get("module"), part.get("registered_name")
            ours = registered in _OURS and (module, name) == _OURS[registered]
            known = name in _KERAS_CLASSES and (module is None or str(module).split(".")[0] == "keras")
            if not ours and not (known and registered in (None, name)):
                raise UserError(
                    f"{where} contains {str(module)[:40]}.{str(name)[:40]}, which none of our models has and which may "
                    "run code; refused"
                )
        waiting.extend(part.values())


def _entry(path: Path, name: str) -> bytes:
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(e.file_size for e in archive.infolist()) > MAX_FILE_BYTES:
                raise UserError(f"{path} claims to expand to more than {MAX_FILE_BYTES >> 30} GiB; refused")
            if archive.getinfo(name).file_size > MAX_CONFIG_BYTES:
                raise UserError(f"{path}: {name} is absurdly large; refused")
            return archive.read(name)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a directory; give the file") from None
    except KeyError:
        raise UserError(f"{path} has no {name}; give a file written by emoca-tf import-weights") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise UserError(f"{path} is not a readable .keras file ({error})") from None
