"""A first look: the expression encoder of the phone-sized family learns on embedded synthetic faces.

Command: python training/train.py (the same as: python training/train.py default)
"""

from training.config import Config, Weights

config = Config(
    family="mobilenet_v3",
    emotion_network="none",
    coarse_codes="truth",
    batch_size=8,
    learning_rate=1e-3,
    steps=200,
    picture_every=50,
    validate_every=50,
    checkpoint_every=50,
    validation_batches=2,
    weights=Weights(emotion=0.0, landmarks_mp=1.0),
)
