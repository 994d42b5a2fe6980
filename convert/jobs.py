"""One conversion from start to end: convert, try, describe, judge, and only then give the file its name."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from convert import benchmark, metadata, parity, qat, scales, trial
from convert.compatibility import SHIPPED, obstacles
from convert.data import CALIBRATION_SEED, JUDGE_SEED, Faces, calibration, load_faces
from convert.equalise import equalised
from convert.export import CALIBRATED, ROUNDED, convert
from convert.geometry import EmotionReader, Geometry
from convert.networks import Network, Source
from convert.outputs import Outputs, file_outputs
from convert.rounding import rounded
from emoca_tf.capture.tflite import TFLiteModel
from emoca_tf.errors import UserError
from emoca_tf.io.atomic import atomic_path

Say = Callable[[str], None]
REJECTED = ".rejected"
READERS = ("readout", "detail")
"""Kinds of networks that read what encoders write."""
FLOAT_CODES = ("head", "readout")
"""Kinds of networks whose codes stay float32 whatever ``integer_io`` says: in 8 bits they would be too coarse."""
RANGE_FACES = 48
"""Calibration pictures that channels are equalised on."""


@dataclass(frozen=True)
class Settings:
    """How to convert.

    Attributes:
        calibration: what to calibrate on: ``synthetic`` or a folder.
        calibration_count: pictures for it.
        judge: what to judge on, several; the faces are put together.
        judge_count: faces of each.
        batch: static batch of the files.
        integer_io: 8-bit inputs and outputs of the networks that see pictures.
        qat_steps: steps of the fine-tuning.
        qat_rate: its learning rate.
        qat_count: pictures it learns on, at most.
        gates: limits of the judge.
        runtime: TFLite release that an app has, see :mod:`convert.compatibility`.
    """

    calibration: str = "synthetic"
    calibration_count: int = 128
    judge: tuple[str, ...] = ("synthetic",)
    judge_count: int = 200
    batch: int = 1
    integer_io: bool = False
    qat_steps: int = 400
    qat_rate: float = 4e-5
    qat_count: int = 512
    gates: parity.Gates = field(default_factory=parity.Gates)
    runtime: str = SHIPPED


@dataclass
class Result:
    """A finished conversion.

    Attributes:
        network: name of the network.
        recipe: how it was made.
        content: bytes, with metadata; empty where the recipe was refused before a file existed.
        description: what stands in the file and beside it.
        verdict: what the judge found; None where it was refused before.
        refused: why there is no usable file; empty for a judged one.
        found: outputs of the file on the judge's faces.
        latency: milliseconds by number of threads.
        float_latency: those of the network's float32 file in the same run.
        operations: kinds of operations and delegate partitions.
        obstacles: why the phone's runtime cannot run the file, see :mod:`convert.compatibility`.
    """

    network: str
    recipe: str
    content: bytes = b""
    description: Mapping[str, Any] | None = None
    verdict: parity.Verdict | None = None
    refused: str = ""
    found: Outputs | None = None
    latency: dict[str, dict[str, float]] | None = None
    float_latency: dict[str, dict[str, float]] | None = None
    operations: Mapping[str, Any] | None = None
    obstacles: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return self.verdict is not None and not self.verdict.failures

    @property
    def reasons(self) -> list[str]:
        """Why it did not pass."""
        return [self.refused] if self.refused else (self.verdict.failures if self.verdict else [])

    def as_json(self) -> dict[str, Any]:
        """One entry of ``parity.json``."""
        entry: dict[str, Any] = {"recipe": self.recipe, "bytes": len(self.content), "passed": self.passed}
        if self.refused:
            return entry | {"refused": self.refused}
        assert self.verdict is not None
        return entry | parity.as_json(self.verdict) | {
            "latency_ms": self.latency, "float32_latency_ms": self.float_latency, "obstacles": self.obstacles,
            **(self.operations or {}),
        }  # fmt: skip


class Workshop:
    """Converts and judges the networks of one source; pictures and decoders are made once, when needed.

    Args:
        source: the trained networks.
        settings: how.
        say: shows a line of progress.
    """

    def __init__(self, source: Source, settings: Settings, say: Say = lambda line: None) -> None:
        self.source, self.settings, self.say = source, settings, say
        self._inputs: dict[str, Mapping[str, np.ndarray]] = {}

    @cached_property
    def geometry(self) -> Geometry:
        return Geometry(self.source.head)

    @cached_property
    def emotion(self) -> EmotionReader:
        return EmotionReader()

    @cached_property
    def calibration_faces(self) -> Faces:
        s = self.settings
        return load_faces(s.calibration, s.calibration_count, CALIBRATION_SEED, self.source.head)

    @cached_property
    def learning_faces(self) -> Faces:
        s = self.settings
        count = min(s.qat_count, s.qat_steps * qat.BATCH)
        return load_faces(s.calibration, count, CALIBRATION_SEED + 1, self.source.head)

    @cached_property
    def judge_faces(self) -> list[Faces]:
        s = self.settings
        return [load_faces(where, s.judge_count, JUDGE_SEED, self.source.head) for where in s.judge]

    def judged_inputs(self, network: Network) -> Mapping[str, np.ndarray]:
        """What the judge feeds: faces to image networks, drawn codes to the others."""
        if "image" in network.inputs:
            return {"image": np.concatenate([faces.images for faces in self.judge_faces])}
        if network.kind in READERS:
            return self._read(network, self._judged_codes, sum(map(len, self.judge_faces)), JUDGE_SEED)
        return drawn_codes(network, self.settings.judge_count, JUDGE_SEED, self.source.head.exp_range)

    def _parts(self) -> dict[str, slice]:
        """Rows of the judge's faces by where they come from."""
        ends = np.cumsum([len(faces) for faces in self.judge_faces])
        return {f.origin: slice(int(end) - len(f), int(end)) for f, end in zip(self.judge_faces, ends, strict=True)}

    @cached_property
    def _judged_codes(self) -> Outputs:
        return self._codes([self.reference(encoder) for encoder in self._encoders()])

    @cached_property
    def _calibration_codes(self) -> Outputs:
        pictures = {"image": self.calibration_faces.images}
        return self._codes([parity.reference_outputs(encoder, pictures) for encoder in self._encoders()])

    def _encoders(self) -> list[Network]:
        return [n for n in self.source.networks.values() if n.kind in ("encoder", "detail_encoder")]

    def _codes(self, outputs: list[Outputs]) -> Outputs:
        """What the float encoders say about the same faces, as codes by name; only what they say completely."""
        found = {name: value for part in outputs for name, value in part.items()}
        if "codes" in found or {"global", "jaw"} <= found.keys():
            codes = self.geometry.codes({name: value for name, value in found.items() if name != "detail"})
            found |= {"shape": codes.shape, "exp": found.get("exp", codes.exp), "pose": codes.pose}
        return found

    def _read(self, network: Network, codes: Outputs, rows: int, seed: int) -> dict[str, np.ndarray]:
        """Inputs of a network that reads codes: those of faces, drawn ones where an encoder is missing."""
        drawn = drawn_codes(network, rows, seed, self.source.head.exp_range)
        return {name: codes.get(name, value) for name, value in drawn.items()}

    def calibration_inputs(self, network: Network) -> dict[str, np.ndarray]:
        """What the ranges are measured on."""
        if "image" in network.inputs:
            return {"image": self.calibration_faces.images}
        if network.kind in READERS:
            return self._read(network, self._calibration_codes, len(self.calibration_faces), CALIBRATION_SEED)
        return drawn_codes(network, self.settings.calibration_count, CALIBRATION_SEED, self.source.head.exp_range)

    def reference(self, network: Network) -> Outputs:
        """Outputs of the float network on the judge's inputs, computed once."""
        if network.name not in self._inputs:
            self._inputs[network.name] = parity.reference_outputs(network, self.judged_inputs(network))
        return dict(self._inputs[network.name])

    def licence(self, network: Network) -> str:
        """Licence of a network's file: that of the weights, or of the head where it is the head."""
        binds = self.source.head.licence if network.kind == "head" else self.source.licence
        return binds or metadata.LICENCE

    def make(self, network: Network, recipe: str, progress: qat.Progress | None = None) -> Result:
        """Convert and judge; a refusal is a result, not an error."""
        self.say(f"{network.name}: {recipe}")
        result = Result(network.name, recipe)
        try:
            content = self._content(network, recipe, progress)
        except UserError as error:
            result.refused = str(error)
            return result
        reason = trial.failure(content)
        if reason is not None:
            result.refused, result.content = reason, content
            return result
        s = self.settings
        calibrated = recipe in CALIBRATED or (recipe in ROUNDED and "image" in network.inputs)
        extra = {"calibration": self._calibration_note(network)} if calibrated else {}
        description = metadata.describe(
            network, TFLiteModel(content), recipe, self.source.origin, self.licence(network), extra
        )
        result.description, result.content = description, metadata.embed(content, description)
        model = TFLiteModel(result.content)
        result.found = file_outputs(model, self.judged_inputs(network))
        emotion = self.emotion if network.name == "expression" else None
        result.verdict = parity.judge(
            network, recipe, self.reference(network), result.found, self.geometry, emotion, s.gates, self._parts()
        )
        result.operations = benchmark.operations(result.content)
        result.obstacles = obstacles(result.content, s.runtime)
        return result

    def _content(self, network: Network, recipe: str, progress: qat.Progress | None) -> bytes:
        s = self.settings
        measured = recipe in CALIBRATED or recipe == "part-dynamic"
        rows = calibration(self.calibration_inputs(network), s.batch) if measured else None
        network = network.leaner()
        if recipe in CALIBRATED and "image" in network.inputs:
            network = equalised(network, self.calibration_faces.images[:RANGE_FACES])
        if recipe in ROUNDED and "image" in network.inputs:
            network = rounded(network, self.calibration_faces.images)
        if recipe != "int8-qat":
            integer_io = s.integer_io and network.kind not in FLOAT_CODES
            content = convert(network, recipe, rows, s.batch, integer_io)
            return content if network.lean is None else scales.shared(content)
        if network.build is None or "image" not in network.inputs:
            raise UserError(f"{network.name} has no tf_keras twin, so it cannot be fine-tuned; use another recipe")
        assert rows is not None
        return qat.finetuned(
            network, rows, self.learning_faces.images, steps=s.qat_steps, learning_rate=s.qat_rate, batch=s.batch,
            integer=s.integer_io, progress=progress,
        )  # fmt: skip

    def _calibration_note(self, network: Network) -> dict[str, Any]:
        if "image" in network.inputs or network.kind in READERS:
            return self.calibration_faces.describe()
        return {"origin": "drawn codes", "count": self.settings.calibration_count, "seed": CALIBRATION_SEED}

    def time(self, results: list[Result], networks: Mapping[str, Network]) -> None:
        """Latency of every judged file and of its network in float32, side by side, with one and two threads."""
        files = {f"{r.network}.{r.recipe}": r.content for r in results if not r.refused}
        for name in {r.network for r in results if not r.refused}:
            if f"{name}.float32" not in files:
                files[f"{name}.float32"] = convert(networks[name].leaner(), "float32", batch=self.settings.batch)
        tables = {str(threads): benchmark.latency(files, threads) for threads in (1, 2)} if files else {}
        for result in results:
            if not result.refused:
                result.latency = {t: table[f"{result.network}.{result.recipe}"] for t, table in tables.items()}
                result.float_latency = {t: table[f"{result.network}.float32"] for t, table in tables.items()}


def drawn_codes(network: Network, count: int, seed: int, exp_range: np.ndarray | None) -> dict[str, np.ndarray]:
    """Random codes ``[count, n]`` by name: standard normal, expressions in their range, poses of 0.2 radians."""
    rng = np.random.default_rng(seed)
    values = {}
    for tensor in network.model.inputs:
        size = int(tensor.shape[-1])
        if tensor.name == "pose":
            drawn = rng.normal(0, 0.2, (count, size))
        elif tensor.name == "exp" and exp_range is not None:
            drawn = exp_range[:, 0] + rng.random((count, size)) * np.ptp(exp_range, axis=1) * rng.random((count, 1))
        elif tensor.name == "eyelid":
            drawn = rng.random((count, size))
        else:
            drawn = rng.normal(0, 1, (count, size))
        values[tensor.name] = drawn.astype(np.float32)
    return values


def choose(results: list[Result]) -> Result | None:
    """The fastest file that passed and that a phone can run (one thread, minimum); of equals in 5 %, the smallest."""
    passed = [r for r in results if r.passed and r.latency and not r.obstacles]
    if not passed:
        return None
    best = min(r.latency["1"]["min"] for r in passed if r.latency)
    return min((r for r in passed if r.latency and r.latency["1"]["min"] <= 1.05 * best), key=lambda r: len(r.content))


def write(result: Result, folder: Path) -> Path | None:
    """The file and its JSON under their names; a file that did not pass gets ``.rejected`` behind its name.

    Returns:
        The path written, or None where there is no content.
    """
    path = folder / f"{result.network}.{result.recipe}.tflite"
    if not result.content:
        return None
    # What an earlier run left under the other name must not be taken for this run's file.
    other = path if not result.passed else path.with_name(path.name + REJECTED)
    other.unlink(missing_ok=True)
    if not result.passed:
        path.with_suffix(".json").unlink(missing_ok=True)
        path = path.with_name(path.name + REJECTED)
    with atomic_path(path) as temporary:
        temporary.write_bytes(result.content)
    if result.passed:
        with atomic_path(path.with_suffix(".json")) as temporary:
            temporary.write_text(json.dumps(result.description, indent=1))
    return path
