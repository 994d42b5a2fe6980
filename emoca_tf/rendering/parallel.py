"""Numba kernels on all cores, and their gradients in TensorFlow.

A kernel works on some rows of one image: ``kernel(image, first_row, end_row, *arrays)``, compiled with ``nogil``.
Threads run it over the batch, because numba's own thread layers may not be entered from several TensorFlow threads.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np
import tensorflow as tf

kernel = functools.partial(numba.njit, cache=True, nogil=True)


def workers() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.lru_cache(maxsize=1)
def _pool(process: int) -> ThreadPoolExecutor:
    """The threads of this process; a forked child starts its own."""
    return ThreadPoolExecutor(workers(), thread_name_prefix="rendering")


def band_count(batch: int, rows: int) -> int:
    """In how many bands of rows each image is worked on, so that a small batch keeps all cores busy."""
    return max(1, min(rows, -(-workers() // max(batch, 1))))


def over_bands(task: Callable[..., None], batch: int, rows: int, *arrays: Any) -> None:
    """Call ``task(image, band, first_row, end_row, *arrays)`` for every band of every image and wait for the end."""
    bands = band_count(batch, rows)
    edges = [rows * band // bands for band in range(bands + 1)]
    jobs = [(image, band, edges[band], edges[band + 1]) for image in range(batch) for band in range(bands)]
    if len(jobs) == 1 or workers() == 1:
        for job in jobs:
            task(*job, *arrays)
        return
    for future in [_pool(os.getpid()).submit(task, *job, *arrays) for job in jobs]:
        future.result()


def over_images(task: Callable[..., None], batch: int, *arrays: Any) -> None:
    """Call ``task(image, *arrays)`` for every image and wait for the end."""
    if batch == 1 or workers() == 1:
        for image in range(batch):
            task(image, *arrays)
        return
    for future in [_pool(os.getpid()).submit(task, image, *arrays) for image in range(batch)]:
        future.result()


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
