"""The phone-sized encoders on embedded synthetic faces: landmarks, pictures and true codes, a first look.

Command: python training/train.py coarse_pretrain_synthetic
Time: 8 000 faces, --dry-run estimates it. Expected: all terms fall and the rendered head covers the face; too short for
a model of use. The one that ships comes from mobile_pretrain.
"""

from training.config import Config, Weights

config = Config(
    stage="coarse_pretrain",
    family="mobilenet_v3",
    emotion_network="none",
    augment="none",
    batch_size=8,
    steps=1000,
    learning_rate=1e-3,
    schedule="cosine",
    ema=0.98,
    clip_norm=1.0,
    validate_every=250,
    picture_every=250,
    checkpoint_every=100,
    patience=0,
    weights=Weights(emotion=0.0, landmarks_mp=10.0, photometric=1.0, codes=1.0, shape_reg=1e-5, exp_reg=0.0),
)
