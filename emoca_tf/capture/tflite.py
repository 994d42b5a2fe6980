"""One TFLite file and its interpreter: named arrays in, named arrays out. LiteRT alone, no TensorFlow.

Only LiteRT's ``Interpreter`` is used: its ``CompiledModel`` ends the process on a truncated file. Even so a model file
is a program; who opens one that came from elsewhere checks its size and hash first (:mod:`emoca_tf.capture.bundle`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from emoca_tf.errors import UserError
from emoca_tf.faces.detect import quiet_stderr


class TFLiteModel:
    """A model with one signature, or none.

    Args:
        content: the file's bytes, or its path.
        threads: threads of the CPU kernels.
        delegates: False runs the plain kernels, without XNNPACK.

    Attributes:
        signature: name of the signature, empty for a file without.
        inputs: input name -> (shape, dtype).
        outputs: output name -> (shape, dtype).

    Raises:
        UserError: the runtime refuses the file, or it has several signatures.
    """

    def __init__(self, content: bytes | Path | str, threads: int = 1, delegates: bool = True) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        where = "the model" if isinstance(content, bytes) else str(content)
        data = content if isinstance(content, bytes) else _read(Path(content))
        resolver = OpResolverType.AUTO if delegates else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        try:
            with quiet_stderr():
                self.interpreter: Any = Interpreter(
                    model_content=data, num_threads=threads, experimental_op_resolver_type=resolver
                )
                self.interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise UserError(f"{where} is not a TFLite model that this runtime can run ({_first_line(error)})") from None
        signatures = self.interpreter.get_signature_list()
        if len(signatures) > 1:
            raise UserError(f"{where} has {len(signatures)} signatures; files with one, or none, can be used")
        self.signature: str = next(iter(signatures), "")
        runner = self.interpreter.get_signature_runner(self.signature) if signatures else None
        self._runner: Any = runner
        if runner is not None:
            described = [runner.get_input_details(), runner.get_output_details()]
        else:
            listed = (self.interpreter.get_input_details(), self.interpreter.get_output_details())
            described = [{d["name"]: d for d in details} for details in listed]
        self._input_details: dict[str, Any] = described[0]
        self._output_details: dict[str, Any] = described[1]
        self.inputs = {name: _type(d) for name, d in sorted(self._input_details.items())}
        self.outputs = {name: _type(d) for name, d in sorted(self._output_details.items())}

    def __call__(self, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run once. Integer inputs and outputs are converted by their scales, so values are real numbers either way.

        Raises:
            ValueError: a name or shape is not the model's.
        """
        if values.keys() != self.inputs.keys():
            raise ValueError(f"inputs {sorted(values)} given, the model takes {sorted(self.inputs)}")
        ready = {name: self._quantised(name, np.asarray(value, np.float32)) for name, value in values.items()}
        raw = self._runner(**ready) if self._runner is not None else self._invoke(ready)
        return {name: _real(value, self._output_details[name]) for name, value in raw.items()}

    def _invoke(self, values: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run a file without signatures (MediaPipe's) by tensor names."""
        for name, value in values.items():
            self.interpreter.set_tensor(self._input_details[name]["index"], value)
        self.interpreter.invoke()
        return {name: self.interpreter.get_tensor(d["index"]) for name, d in self._output_details.items()}

    def _quantised(self, name: str, value: np.ndarray) -> np.ndarray:
        shape, dtype = self.inputs[name]
        if value.shape != shape:
            raise ValueError(f"input {name} has shape {value.shape}, the model takes {shape}")
        if dtype == np.float32:
            return value
        scale, zero = self._input_details[name]["quantization"]
        limits = np.iinfo(dtype)
        return np.clip(np.round(value / scale) + zero, limits.min, limits.max).astype(dtype)


def _real(value: np.ndarray, detail: Mapping[str, Any]) -> np.ndarray:
    if value.dtype == np.float32:
        return value
    scale, zero = detail["quantization"]
    return ((value.astype(np.float32) - zero) * scale).astype(np.float32)


def _type(detail: Mapping[str, Any]) -> tuple[tuple[int, ...], Any]:
    return tuple(int(n) for n in detail["shape"]), np.dtype(detail["dtype"])


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise UserError(f"{path} is a directory; give one .tflite file") from None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
