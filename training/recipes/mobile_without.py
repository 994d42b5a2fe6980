"""What the emotion loss is worth: recipe mobile with nothing that knows emotions; compare with mobile_with.

Command: python training/train.py mobile_without --set init=runs/mobile_pretrain --out runs/mobile_without
Measured with benchmarks/emotion.py; the table is in docs/ablation.md.
"""

from dataclasses import replace

from training.recipes import mobile

config = replace(
    mobile.config,
    steps=400,
    weights=replace(mobile.config.weights, emotion=0.0, hint=0.0, labels=0.0, posterior=0.0),
)
