"""A phone-sized emotion network on embedded synthetic faces, in minutes.

Command: python training/train.py emotion_synthetic
"""

from training.config import Config

config = Config(
    stage="emotion",
    family="mobilenet_v3",
    batch_size=16,
    learning_rate=1e-3,
    clip_norm=1.0,
    ema=0.99,
    steps=1500,
    validate_every=250,
    picture_every=250,
    checkpoint_every=250,
)
