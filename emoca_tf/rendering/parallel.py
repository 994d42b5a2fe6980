"""Numba kernels on all cores, and their gradients in TensorFlow.

A kernel works on some rows of one image: ``kernel(image, band, first_row, end_row, *arrays)``, compiled with ``nogil``.
Threads run it over the batch, because numba's own thread layers may not be entered from several TensorFlow threads.
Every band sums its gradients into arrays of its own, and how many bands there are depends on the batch alone: results
are equal to the bit on any number of cores.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np
import tensorflow as tf

BANDS = 4  # of one picture; more would keep more cores busy at batch 1, but each asks for gradient arrays of its own

Function = TypeVar("Function", bound=Callable[..., Any])


@functools.cache
def _cache_folder() -> str:
    """Where compiled kernels are kept: one folder for this state of the sources.

    Numba notices a change in the file of a kernel, but not in a file from which it calls another kernel.
    """
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # no home: numba tries the folder of the sources
        return ""
    return str(base / "emoca-tf" / f"kernels-{digest.hexdigest()[:16]}")


def kernel(function: Function) -> Function:
    """Compile for one thread without the interpreter lock; kept on disk where some folder can be written.

    Floats follow IEEE rules (a division by zero is no exception). ``NUMBA_CACHE_DIR`` chooses another folder.
    """
    config: Any = numba.config
    compiled: Any
    before = config.CACHE_DIR
    config.CACHE_DIR = before or _cache_folder()
    try:
        compiled = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # nowhere to write, so this process compiles for itself
        compiled = numba.njit(nogil=True, error_model="numpy")(function)
    finally:
        config.CACHE_DIR = before
    return compiled  # type: ignore[no-any-return]


def workers() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.lru_cache(maxsize=1)
def _pool(process: int) -> ThreadPoolExecutor:
    """The threads of this process; a forked child starts its own."""
    return ThreadPoolExecutor(workers(), thread_name_prefix="rendering")


def band_count(batch: int, rows: int) -> int:
    """In how many bands of rows each image is worked on: fewer for larger batches, never by the number of cores."""
    return max(1, min(rows, -(-BANDS // max(batch, 1))))


def over_bands(task: Callable[..., None], batch: int, rows: int, *arrays: Any) -> None:
    """Call ``task(image, band, first_row, end_row, *arrays)`` for every band of every image and wait for the end."""
    bands = band_count(batch, rows)
    edges = [rows * band // bands for band in range(bands + 1)]
    jobs = [(image, band, edges[band], edges[band + 1]) for image in range(batch) for band in range(bands)]
    _run(task, jobs, arrays)


def over_images(task: Callable[..., None], batch: int, *arrays: Any) -> None:
    """Call ``task(image, *arrays)`` for every image and wait for the end."""
    _run(task, [(image,) for image in range(batch)], arrays)


def _run(task: Callable[..., None], jobs: Sequence[tuple[int, ...]], arrays: Sequence[Any]) -> None:
    if len(jobs) == 1 or workers() == 1:
        for job in jobs:
            task(*job, *arrays)
        return
    for future in [_pool(os.getpid()).submit(task, *job, *arrays) for job in jobs]:
        future.result()


def check_batch(**arrays: np.ndarray) -> None:
    """Kernels do not check bounds: refuse arrays whose first dimensions differ.

    Raises:
        ValueError: naming every array and its shape.
    """
    if len({len(array) for array in arrays.values()}) > 1:
        shapes = ", ".join(f"{name} {tuple(array.shape)}" for name, array in arrays.items())
        raise ValueError(f"batch dimensions differ: {shapes}")


def check_faces(faces: np.ndarray, vertices: int) -> None:
    """Refuse triangles that point outside the vertices.

    Raises:
        ValueError: with the range that was found.
    """
    if faces.size and not 0 <= faces.min() <= faces.max() < vertices:
        raise ValueError(f"faces index {faces.min()}..{faces.max()}, but there are {vertices} vertices")


def _numpy(function: Callable[..., Sequence[np.ndarray]], inputs: list[tf.Tensor], count: int) -> list[tf.Tensor]:
    """``tf.numpy_function`` with ``count`` float32 results, without its copies where TensorFlow runs eagerly."""
    if tf.executing_eagerly():
        return [tf.convert_to_tensor(result) for result in function(*(tensor.numpy() for tensor in inputs))]
    return list(tf.numpy_function(function, inputs, [tf.float32] * count, stateful=False))


def differentiable(
    forward: Callable[..., Sequence[np.ndarray]],
    backward: Callable[..., Sequence[np.ndarray]],
    inputs: Sequence[tf.Tensor],
    shapes: Sequence[Sequence[int | None]],
    constants: Sequence[tf.Tensor] = (),
) -> list[tf.Tensor]:
    """A TensorFlow operation made of two NumPy functions, eager or in ``tf.function``; no second derivative.

    Args:
        forward: ``(*inputs, *constants)`` -> the outputs, float32 arrays.
        backward: ``(*inputs, *constants, *gradients of the outputs)`` -> the gradients of the inputs.
        inputs: float32 tensors that get gradients.
        shapes: the outputs' static shapes.
        constants: tensors without gradients.
    """

    @tf.custom_gradient
    def operation(*given: tf.Tensor) -> tuple[list[tf.Tensor], Callable[..., list[tf.Tensor]]]:
        # Constants are captured: an integer tensor among the arguments would ask for its gradient.
        outputs = _numpy(forward, [*given, *constants], len(shapes))
        outputs = [tf.ensure_shape(output, shape) for output, shape in zip(outputs, shapes, strict=True)]

        def gradients(*upstream: tf.Tensor) -> list[tf.Tensor]:
            found = _numpy(backward, [*given, *constants, *upstream], len(given))
            return [tf.ensure_shape(gradient, tensor.shape) for gradient, tensor in zip(found, given, strict=True)]

        return outputs, gradients

    return list(operation(*(tf.convert_to_tensor(tensor, tf.float32) for tensor in inputs)))
