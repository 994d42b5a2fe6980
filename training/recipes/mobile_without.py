"""What the emotion loss is worth: recipe mobile without it and otherwise the same, seed and steps included.

Command: python training/train.py mobile_without --set init=runs/mobile_pretrain --out runs/mobile_without
Measured with benchmarks/emotion.py; the table is in docs/ablation.md.
"""

from dataclasses import replace

from training.recipes import mobile

config = replace(mobile.config, weights=replace(mobile.config.weights, emotion=0.0))
