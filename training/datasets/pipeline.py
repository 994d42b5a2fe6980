"""Any :class:`~training.datasets.source.Source` -> an endless (or one-pass) stream of batches of tensors.

Batch ``k`` is a pure function of (seed, k, shard), augmentation included: a run resumed at step ``k`` sees exactly what
an uninterrupted one would, and the shards of ``n`` workers put together are the batch of one worker ``n`` times as
large. Threads prepare rows ahead of time; OpenCV, NumPy and the renderer's kernels let go of Python's lock.

The threads are Python's, not those of ``tf.data.Dataset.from_generator``: a thread of TensorFlow that asks for Python's
lock while the interpreter goes down is ended by Python 3.11, and the iterator's destructor then waits for it for ever.
``element_spec`` is there for who wants a ``tf.data.Dataset`` nevertheless.

A batch is a dict of tensors:

| key | shape | content |
|---|---|---|
| ``image`` | [B, 224, 224, 3] float32 | RGB, 0..1 |
| ``landmarks_mp`` | [B, 478, 3] float32 | x, y as (p - 112) / 112, y down; validity 0/1 |
| ``landmarks68`` | [B, 68, 3] float32 | the same for the 68 points; visibility 0/1 |
| ``mask`` | [B, 224, 224, 1] float32 | face skin, 0/1 |
| ``expression`` | [B] int32 | AffectNet's order, -1 unknown |
| ``valence``, ``arousal`` | [B] float32 | -1..1, NaN unknown |
| ``id`` | [B] string | |
| ``shape``, ``tex``, ``exp``, ``pose``, | [B, ...] float32 | truth, synthetic data only |
| ``cam``, ``light``, ``neck_pose``, ``eye_pose`` | | |
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import tensorflow as tf

from emoca_tf.errors import UserError
from emoca_tf.rendering.parallel import workers as cores
from training.datasets.augment import NONE, Augmentation
from training.datasets.crops import finish
from training.datasets.sampling import example_rng, training_order
from training.datasets.source import Source

LOG = logging.getLogger("emoca_tf.training.data")
_SUBSTITUTES = 20
_AHEAD = 4  # batches that are being made or wait to be taken
_Row = dict[str, Any]


@dataclass
class InputReport:
    """What the pipeline could not read: id -> why. Filled while batches are made."""

    bad: dict[str, str] = field(default_factory=dict)

    def add(self, identity: str, why: str) -> None:
        if identity not in self.bad:
            self.bad[identity] = why
            LOG.warning("skipped %s: %s", identity, why)


def batches(
    source: Source,
    *,
    batch_size: int,
    seed: int,
    start_step: int = 0,
    training: bool = True,
    shard: tuple[int, int] = (0, 1),
    balanced: bool = False,
    power: float = 1.0,
    augment: Augmentation = NONE,
    ring: int = 1,
    workers: int | None = None,
    report: InputReport | None = None,
) -> Batches:
    """Batches of a source.

    Args:
        source: the data.
        batch_size: images a batch of this shard.
        seed: of order and augmentation.
        start_step: the first batch to deliver.
        training: True: endless, shuffled, full batches; an unreadable image is replaced by another one. False: one pass
            in order without augmentation; the last batch may be short and unreadable images are left out.
        shard: (this worker, number of workers).
        balanced: draw classes equally often (training only).
        power: how far, see :func:`training.datasets.sampling.balanced_weights`.
        augment: what to vary (training only).
        ring: so many images of one person side by side (training only); must divide ``batch_size``.
        workers: threads; the number of cores by default.
        report: collects unreadable images.

    Raises:
        UserError: if the source cannot deliver what is asked for.
        ValueError: for impossible sizes.
    """
    if batch_size < 1 or start_step < 0 or not 0 <= shard[0] < shard[1]:
        raise ValueError(f"batch_size {batch_size}, start_step {start_step} or shard {shard} is impossible")
    if batch_size % ring:
        raise ValueError(f"batch_size {batch_size} is not a multiple of ring {ring}")
    report = report if report is not None else InputReport()
    maker: _Rows
    if training:
        order = training_order(source, seed, balanced=balanced, ring=ring, power=power)
        maker = _TrainingRows(source, seed, order, augment, ring)
    else:
        maker = _EvaluationRows(source, seed)
    maker.report = report
    return Batches(maker, _template(source, seed), batch_size, start_step, shard, workers or cores(), full=training)


class Batches:
    """An iterable of batches; every iteration starts anew at the first one. Made by :func:`batches`.

    Attributes:
        element_spec: name -> ``tf.TensorSpec``, as of a ``tf.data.Dataset``.
    """

    def __init__(
        self,
        maker: _Rows,
        template: _Row,
        batch_size: int,
        start_step: int,
        shard: tuple[int, int],
        workers: int,
        full: bool,
    ) -> None:
        self._maker, self._template, self._batch_size = maker, template, batch_size
        self._start_step, self._shard, self._workers = start_step, shard, workers
        leading = batch_size if full else None
        self.element_spec = {k: tf.TensorSpec((leading, *v.shape), v.dtype) for k, v in template.items()}
        self.element_spec["id"] = tf.TensorSpec((leading,), tf.string)

    def __iter__(self) -> Iterator[dict[str, tf.Tensor]]:
        """Tensors of the next batch, and the next, ...

        Raises:
            UserError: while iterating: the data cannot be read on.
        """
        arrays = _prefetched(
            self._maker, self._template, self._batch_size, self._start_step, self._shard, self._workers
        )
        return ({name: tf.convert_to_tensor(value) for name, value in batch.items()} for batch in arrays)


class _Rows:
    """Position -> finished row; None where there is none."""

    report: InputReport

    def __init__(self, source: Source, seed: int) -> None:
        self.source, self.seed, self.ids = source, seed, source.ids

    def batch_length(self, first: int, batch_size: int) -> int:
        raise NotImplementedError

    def __call__(self, position: int) -> _Row | None:
        raise NotImplementedError

    def _row(self, index: int, rng: np.random.Generator, augment: Augmentation) -> _Row | None:
        try:
            row = finish(self.source.example(index, rng), augment, rng)
        except UserError as error:
            self.report.add(str(self.ids[index]), " ".join(str(error).split()))
            return None
        return row | _labels(self.source, index) | {"id": str(self.ids[index])}


class _TrainingRows(_Rows):
    def __init__(
        self, source: Source, seed: int, order: Callable[[int], int], augment: Augmentation, ring: int
    ) -> None:
        super().__init__(source, seed)
        self.order, self.augment, self.ring = order, augment, ring

    def batch_length(self, first: int, batch_size: int) -> int:
        return batch_size

    def __call__(self, position: int) -> _Row:
        """Raises UserError if neither the image nor its substitutes can be read."""
        for attempt in range(_SUBSTITUTES):
            row = self._row(self._candidate(position, attempt), example_rng(self.seed, position, attempt), self.augment)
            if row is not None:
                return row
        raise UserError(
            f"{_SUBSTITUTES} images in a row cannot be read, the first: {next(iter(self.report.bad.items()))}; "
            "check the data folder"
        )

    def _candidate(self, position: int, attempt: int) -> int:
        """The image at a position; then its neighbours, in a ring those of the same person."""
        if self.ring > 1:
            first = position - position % self.ring
            return self.order(first + (position - first + attempt) % self.ring)
        return (self.order(position) + attempt) % len(self.source)


class _EvaluationRows(_Rows):
    def batch_length(self, first: int, batch_size: int) -> int:
        return max(0, min(batch_size, len(self.source) - first))

    def __call__(self, position: int) -> _Row | None:
        return self._row(position, example_rng(self.seed, position), NONE)


def _labels(source: Source, index: int) -> _Row:
    labels = source.labels
    return {
        "expression": np.asarray(labels.expression[index], np.int32),
        "valence": np.asarray(labels.valence[index], np.float32),
        "arousal": np.asarray(labels.arousal[index], np.float32),
    }


def _template(source: Source, seed: int) -> _Row:
    """A row whose shapes all rows have.

    Raises:
        UserError: if the source is empty or none of its first images can be read.
    """
    why = "the data set is empty"
    for index in range(min(len(source), _SUBSTITUTES)):
        rng = example_rng(seed, index)
        try:
            return finish(source.example(index, rng), NONE, rng) | _labels(source, index)
        except UserError as error:
            why = str(error)
    raise UserError(f"no batch can be made: {why}")


@functools.cache
def _single_threaded_opencv() -> None:
    """Rows are made side by side already; OpenCV's own threads would only get in their way."""
    cv2.setNumThreads(1)


def _prefetched(
    maker: _Rows, template: _Row, batch_size: int, step: int, shard: tuple[int, int], workers: int
) -> Iterator[_Row]:
    """Batches in order; rows of the next ones are made meanwhile by ``workers`` threads."""
    _single_threaded_opencv()
    ahead = _AHEAD + workers // batch_size
    pending: deque[tuple[_Row, list[Future[bool]]]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="input")
    try:
        while True:
            while len(pending) < ahead:
                first = (step * shard[1] + shard[0]) * batch_size
                length = maker.batch_length(first, batch_size)
                if not length:
                    break
                arrays = {k: np.empty((length, *v.shape), v.dtype) for k, v in template.items()}
                arrays["id"] = np.empty(length, object)
                pending.append((arrays, [pool.submit(_fill, maker, first + j, arrays, j) for j in range(length)]))
                step += 1
            if not pending:
                return
            arrays, futures = pending.popleft()
            done = np.array([future.result() for future in futures])
            if done.all():
                yield arrays
            elif done.any():
                yield {k: v[done] for k, v in arrays.items()}
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _fill(maker: _Rows, position: int, arrays: _Row, slot: int) -> bool:
    """Write one row into its place; False if there is none."""
    if not threading.main_thread().is_alive():  # the program ends: what is still queued is not worth waiting for
        return False
    row = maker(position)
    if row is None:
        return False
    for name, value in row.items():
        arrays[name][slot] = value
    return True


class InputMeter:
    """How long the accelerator waited for data: ``for batch in meter.watch(dataset): ...``."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start counting anew, e.g. after the first step, which fills the buffers and traces functions."""
        self.steps, self.wait_seconds, self._started = 0, 0.0, time.perf_counter()

    @property
    def fraction(self) -> float:
        """Share of the time since :meth:`reset` that was spent waiting for input, 0..1."""
        return self.wait_seconds / max(time.perf_counter() - self._started, 1e-9)

    def watch(self, dataset: Iterable[Any]) -> Iterator[Any]:
        """Iterate, timing every wait."""
        iterator = iter(dataset)
        while True:
            start = time.perf_counter()
            try:
                batch = next(iterator)
            except StopIteration:
                return
            self.wait_seconds += time.perf_counter() - start
            self.steps += 1
            yield batch
