"""Ablation, step 1 of 3: the phone-sized encoders learn real faces from landmarks and pictures, without any emotion.

Command: python training/train.py ablation_pretrain --set data=packed:FACES/mux_train_jpeg.npz --out runs/ablation
Steps 2 and 3: ablation_without and ablation_with, each from this run. Time: about 5 minutes on 2 cores.
"""

from dataclasses import replace

from training.config import Weights
from training.recipes import coarse_pretrain_synthetic

config = replace(
    coarse_pretrain_synthetic.config,
    data="packed:FACES",
    augment="mixed-sources",
    steps=500,
    weights=Weights(
        emotion=0.0, landmarks_mp=10.0, photometric=1.0, eye_closure=0.0, mouth_closure=0.0, lip_corner=0.0,
        eye_closure_mp=1.0, mouth_closure_mp=1.0, lip_corner_mp=1.0,
        shape_reg=1e-4, exp_reg=1e-3, tex_reg=1e-4, light_reg=1.0,
    ),
)  # fmt: skip
