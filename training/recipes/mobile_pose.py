"""The embedded phone-sized encoders, step 2 of 3: pose and identity, mostly from photographs.

Command: python training/train.py mobile_pose --set init=runs/mobile_pretrain --out runs/mobile_pose
Goes on from step 1 without labels; pose and shape encoder are taken from here. About 12 minutes on 2 cores.
"""

from dataclasses import replace

from training.recipes import mobile_pretrain

config = replace(
    mobile_pretrain.config,
    init=("runs/mobile_pretrain",),
    data="2*rendered:FACES/synthetic_train.npz"
    "+5*packed:FACES/mux_train_jpeg.npz,teacher=blendshapes"
    "+3*mosaics:FACES/fer_train.npz,teacher=blendshapes",
    learning_rate=4e-4,
    steps=3000,
    weights=replace(
        mobile_pretrain.config.weights, landmarks_mp=25.0, points=5.0, taught=1.0, deformation=0.3, labels=0.0
    ),
)
