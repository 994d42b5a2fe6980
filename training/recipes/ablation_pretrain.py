"""What the emotion loss is worth: the start of both halves, which no label has taught anything.

Command: python training/train.py ablation_pretrain --out runs/ablation_pretrain
As mobile_start, but shorter and without labels: landmarks, true codes of rendered faces, plain blendshapes.
"""

from dataclasses import replace

from training.recipes import mobile_start

config = replace(
    mobile_start.config,
    data=mobile_start.config.data.replace("teacher=blendshapes", "teacher=blendshapes-alone"),
    steps=2500,
    weights=replace(mobile_start.config.weights, labels=0.0),
)
