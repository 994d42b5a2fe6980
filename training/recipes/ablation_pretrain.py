"""What the emotion loss is worth: the start of both halves, which no label has taught anything.

Command: python training/train.py ablation_pretrain --out runs/ablation_pretrain
As mobile_pretrain, but shorter and without labels: landmarks, true codes of rendered faces, plain blendshapes.
"""

from dataclasses import replace

from training.recipes import mobile_pretrain

config = replace(
    mobile_pretrain.config,
    data=mobile_pretrain.config.data.replace("teacher=blendshapes", "teacher=blendshapes-alone"),
    steps=2500,
    weights=replace(mobile_pretrain.config.weights, labels=0.0),
)
