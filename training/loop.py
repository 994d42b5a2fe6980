"""One training step on any number of replicas: losses, gradient, clipping, Adam, averaged weights.

A stage says what is learnt and which terms count; this module knows no stage. Terms are of two kinds (losses
specification, 4.4): means over the batch, and sums over the batch (regularisers). Both give the same gradient for one
process with a batch of 2 B as for two with B each: means are divided by the number of replicas, sums are not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import keras
import tensorflow as tf

from training.checkpoint import State
from training.config import Config
from training.machines import workers
from training.optimizer import CalmAdam

Batch = dict[str, tf.Tensor]


class Trainer:
    """The compiled steps of a run.

    Args:
        stage: see :mod:`training.stages`.
        config: learning rate, clipping, averaging, precision.
        strategy: where the replicas are; built variables must be in its scope.
    """

    def __init__(self, stage: Any, config: Config, strategy: tf.distribute.Strategy) -> None:
        self.stage, self.config, self.strategy = stage, config, strategy
        self.replicas = strategy.num_replicas_in_sync
        self.variables = stage.learnt()
        with strategy.scope():
            rate: Any = config.learning_rate
            if config.schedule == "cosine":
                rate = keras.optimizers.schedules.CosineDecay(rate, config.steps)
            optimizer = CalmAdam(rate, config.calm, epsilon=1e-8)
            if config.precision == "mixed_float16":
                optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
            self.optimizer = optimizer
            optimizer.build(self.variables)
            self.averages = [
                tf.Variable(variable.value, trainable=False, name=f"average_{index}")
                for index, variable in enumerate(self.variables if config.ema else [])
            ]
            if self.replicas > 1:
                synchronise_statistics(stage.networks)
        # Traced once each: the step number is a tensor.
        self.train_step = tf.function(self._train_step, reduce_retracing=True)
        self.validation_step = tf.function(self._validation_step, reduce_retracing=True)

    def state(self) -> State:
        """Everything that a checkpoint holds."""
        groups = {f"network/{name}": model.variables for name, model in self.stage.networks.items()}
        return State(groups | {"optimizer": self.optimizer.variables, "average": self.averages})

    def _train_step(self, batch: Batch, step: tf.Tensor) -> dict[str, tf.Tensor]:
        """One update; ``step`` counts from 0 and feeds everything random. Returns the loss, its terms, the norm."""
        results = self.strategy.run(self._replica_step, args=(batch, step))
        if self.averages:
            self._average()
        return self._reduced(results)

    def _replica_step(self, batch: Batch, step: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.GradientTape() as tape:
            terms = self.stage.terms(batch, step, learning=True)
            loss, parts = self._weighted(terms)
            scaled = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, [variable.value for variable in self.variables])
        gradients = [
            tf.zeros(variable.shape) if gradient is None else gradient
            for gradient, variable in zip(gradients, self.variables, strict=True)
        ]
        if self.replicas > 1:
            gradients = tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        scale = tf.cast(getattr(self.optimizer, "dynamic_scale", 1.0), tf.float32)  # of a float16 loss
        if self.config.clip_norm:
            gradients, norm = tf.clip_by_global_norm(gradients, self.config.clip_norm * scale)
        else:
            norm = tf.linalg.global_norm(gradients)
        # Keras sums over the replicas once more.
        self.optimizer.apply([gradient / self.replicas for gradient in gradients], self.variables)
        return parts | {"loss": loss, "gradient_norm": norm / scale / self.replicas}

    def _weighted(self, terms: Mapping[str, Any]) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Sum of weight x term, and the unweighted terms, both as this replica's share of the whole batch's value."""
        parts = {name: term.value if term.summed else term.value / self.replicas for name, term in terms.items()}
        loss = tf.add_n([terms[name].weight * value for name, value in parts.items() if terms[name].counts])
        return loss, parts

    def _validation_step(self, batch: Batch) -> dict[str, tf.Tensor]:
        def replica(part: Batch) -> dict[str, tf.Tensor]:
            loss, parts = self._weighted(self.stage.terms(part, tf.constant(0, tf.int64), learning=False))
            return parts | {"loss": loss}

        return self._reduced(self.strategy.run(replica, args=(batch,)))

    def _reduced(self, results: Mapping[str, Any]) -> dict[str, tf.Tensor]:
        return {name: self.strategy.reduce("SUM", value, axis=None) for name, value in results.items()}

    def _average(self) -> None:
        """``average <- decay average + (1 - decay) weight``, on every replica's own copy."""

        def update(average: tf.Variable, weight: tf.Tensor) -> tf.Operation:
            return average.assign(self.config.ema * average + (1 - self.config.ema) * tf.cast(weight, average.dtype))

        for average, variable in zip(self.averages, self.variables, strict=True):
            self.strategy.extended.update(average, update, args=(variable.value,), group=False)

    def averaged(self) -> AveragedWeights:
        """A context in which the networks have the averaged weights, if there are any."""
        return AveragedWeights(self.variables, self.averages)


class AveragedWeights:
    """``with AveragedWeights(variables, averages): ...`` exchanges weights and restores them."""

    def __init__(self, variables: list[Any], averages: list[tf.Variable]) -> None:
        self.variables, self.averages = variables, averages
        self._kept: list[Any] = []

    def __enter__(self) -> None:
        self._kept = [variable.numpy() for variable in self.variables[: len(self.averages)]]
        for variable, average in zip(self.variables, self.averages, strict=False):
            variable.assign(average.numpy())

    def __exit__(self, *_: object) -> None:
        for variable, value in zip(self.variables, self._kept, strict=False):
            variable.assign(value)


def synchronise_statistics(networks: Mapping[str, Any]) -> None:
    """Let batch norms count the whole batch of all replicas, so that their number does not change the result."""
    for model in networks.values():
        for layer in model._flatten_layers():
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = True


def distribute(
    batches: Callable[[tuple[int, int]], Iterable[Batch]], strategy: tf.distribute.Strategy
) -> Iterator[Any]:
    """The batches of this worker's replicas as one iterator.

    Args:
        batches: ``(index, count)`` of a shard -> batches of one replica.
        strategy: one replica gets the plain batches.

    Raises:
        UserError: while iterating: the data cannot be read on.
    """
    index, machines = workers()
    count = strategy.num_replicas_in_sync
    here = count // machines
    first = index * here
    shards = [iter(batches((first + k, count))) for k in range(here)]
    if count == 1:
        return shards[0]

    def draw() -> Iterator[Any]:
        while True:
            parts = [next(shard) for shard in shards]
            yield strategy.experimental_distribute_values_from_function(
                lambda context, parts=parts: parts[context.replica_id_in_sync_group - first]
            )

    return draw()
