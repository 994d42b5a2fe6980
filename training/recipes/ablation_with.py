"""What the emotion loss is worth, one half: EMOCA's coarse stage with it; nothing else says what a face feels like.

Command: python training/train.py ablation_with --set init=runs/ablation_pretrain --out runs/ablation_with
Photographs only, and no teacher: landmarks and the emotion network's features. docs/ablation.md has what it gave.
"""

from dataclasses import replace

from training.recipes import ablation_pretrain

config = replace(
    ablation_pretrain.config,
    stage="coarse",
    tied=False,
    init=("runs/ablation_pretrain",),
    data="3*packed:FACES/mux_train_jpeg.npz+4*mosaics:FACES/fer_train.npz",
    background="input",
    emotion_distance="correlation",
    learning_rate=3e-4,
    steps=1000,
    weights=replace(
        ablation_pretrain.config.weights,
        emotion=5.0, taught=0.0, deformation=0.0, codes=0.0, points=0.0, shape_reg=0.0, exp_reg=1e-3,
    ),
)  # fmt: skip
