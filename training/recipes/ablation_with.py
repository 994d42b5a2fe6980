"""Ablation, step 3 of 3: the same as ablation_without, plus the emotion loss.

Command: python training/train.py ablation_with --set init=runs/ablation --set data=packed:FACES/mux_train_jpeg.npz
"""

from dataclasses import replace

from training.recipes import ablation_without

config = replace(
    ablation_without.config,
    emotion_network="default",
    weights=replace(ablation_without.config.weights, emotion=1.0),
)
