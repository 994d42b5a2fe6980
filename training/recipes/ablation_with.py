"""What the emotion loss is worth, one half: EMOCA's coarse stage with it; nothing else says what a face feels like.

Command: python training/train.py ablation_with --set init=runs/ablation_pretrain --out runs/ablation_with
"""

from dataclasses import replace

from training.recipes import ablation_pretrain, mobile

config = replace(
    mobile.config,
    data=ablation_pretrain.config.data,
    init=("runs/ablation_pretrain",),
    steps=600,
    weights=replace(mobile.config.weights, labels=0.0),
)
