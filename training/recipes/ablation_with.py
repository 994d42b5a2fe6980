"""What the emotion loss is worth, one half: EMOCA's coarse stage with it; nothing else says what a face feels like.

Command: python training/train.py ablation_with --set init=runs/ablation_pretrain --out runs/ablation_with
"""

from dataclasses import replace

from training.recipes import ablation_pretrain

config = replace(
    ablation_pretrain.config,
    stage="coarse",
    tied=False,
    init=("runs/ablation_pretrain",),
    background="input",
    learning_rate=2e-4,
    steps=600,
    weights=replace(
        ablation_pretrain.config.weights, emotion=1.0, taught=1.5, deformation=0.5, shape_reg=0.0, codes=0.0
    ),
)
