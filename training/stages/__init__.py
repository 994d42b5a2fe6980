"""One module a stage: what is frozen, what is learnt, which losses count."""

from __future__ import annotations

from importlib import import_module

from training.config import Config
from training.stages.base import Stage


def build(config: Config) -> Stage:
    """The stage that ``config.stage`` names, with its networks built and initialised."""
    stage: Stage = import_module(f"training.stages.{config.stage}").build(config)
    return stage
