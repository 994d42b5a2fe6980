"""What the emotion loss is worth, other half: as ablation_with, seed and steps included, but without that loss.

Command: python training/train.py ablation_without --set init=runs/ablation_pretrain --out runs/ablation_without
Measured with benchmarks/emotion.py; the table is in docs/ablation.md.
"""

from dataclasses import replace

from training.recipes import ablation_with

config = replace(ablation_with.config, weights=replace(ablation_with.config.weights, emotion=0.0))
