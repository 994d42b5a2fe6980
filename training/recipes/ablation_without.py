"""Ablation, step 2 of 3: EMOCA's COARSE stage without the emotion loss.

Command: python training/train.py ablation_without --set init=runs/ablation --set data=packed:FACES/mux_train_jpeg.npz
Compare with ablation_with, which differs in nothing but that loss; measure both with training/evaluate.py.
"""

from dataclasses import replace

from training.config import Config, Weights

config = Config(
    stage="coarse",
    family="mobilenet_v3",
    emotion_network="none",
    init=("runs/ablation",),
    data="packed:FACES",
    augment="mixed-sources",
    batch_size=8,
    steps=300,
    learning_rate=2e-4,
    ema=0.98,
    clip_norm=1.0,
    validate_every=150,
    picture_every=150,
    checkpoint_every=50,
    patience=0,
    weights=replace(Weights(), emotion=0.0),
)
