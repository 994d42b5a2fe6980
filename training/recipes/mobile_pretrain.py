"""The embedded phone-sized encoders, step 1 of 10: what shows in a face.

Command: python -m training.datasets.rendered FACES/synthetic_train.npz --count 24000
         python -m training.datasets.rendered FACES/synthetic_train2.npz --count 24000 --seed 1
         python -m training.datasets.mosaic_landmarks FACES/fer_train.npz
         python training/train.py mobile_pretrain --out runs/mobile_pretrain
Learns from rendered faces with true codes, real faces with landmarks and stretched blendshapes, and labels. All
encoders share one trunk here. About an hour on 2 cores; docs/mobile-training.md has what was tried. Next:
mobile_more.
"""

from training.config import Config, Weights

config = Config(
    stage="coarse_pretrain",
    family="separable",
    tied=True,
    shrink=2,
    data="2*rendered:FACES/synthetic_train.npz"
    "+2*rendered:FACES/synthetic_train2.npz"
    "+3*packed:FACES/mux_train_jpeg.npz,teacher=blendshapes"
    "+4*mosaics:FACES/fer_train.npz,teacher=blendshapes",
    augment="mobile",
    balance_power=0.5,
    batch_size=32,
    steps=15000,
    learning_rate=6e-4,
    calm=0.1,
    schedule="cosine",
    ema=0.995,
    clip_norm=1.0,
    log_every=10,
    validate_every=500,
    picture_every=500,
    checkpoint_every=250,
    patience=0,
    weights=Weights(
        emotion=0.0, photometric=0.0, eye_closure=0.0, mouth_closure=0.0, lip_corner=0.0,
        landmarks_mp=10.0, landmarks_ocular=5.0, eye_closure_mp=2.0, mouth_closure_mp=2.0, lip_corner_mp=2.0,
        codes=0.5, deformation=1.0, taught=3.0, labels=1.5, points=10.0,
        shape_reg=1e-5, exp_reg=0.0, light_reg=0.0,
    ),
)  # fmt: skip
