"""Ablation, step 1 of 3: the phone-sized encoders learn real faces from landmarks and pictures, without any emotion.

Command: python training/train.py ablation_pretrain --set data=packed:FACES/mux_train_jpeg.npz --out runs/ablation
Steps 2 and 3: ablation_without and ablation_with, each from this run. Time: about 5 minutes on 2 cores.
"""

from training.config import Config, Weights

config = Config(
    stage="coarse_pretrain",
    family="mobilenet_v3",
    emotion_network="none",
    data="packed:FACES",
    augment="mixed-sources",
    batch_size=8,
    steps=500,
    learning_rate=1e-3,
    schedule="cosine",
    ema=0.98,
    clip_norm=1.0,
    validate_every=250,
    picture_every=250,
    checkpoint_every=100,
    patience=0,
    weights=Weights(
        emotion=0.0, landmarks_mp=10.0, photometric=1.0, eye_closure=0.0, mouth_closure=0.0, lip_corner=0.0,
        eye_closure_mp=1.0, mouth_closure_mp=1.0, lip_corner_mp=1.0,
        shape_reg=1e-4, exp_reg=1e-3, tex_reg=1e-4, light_reg=1.0,
    ),
)  # fmt: skip
