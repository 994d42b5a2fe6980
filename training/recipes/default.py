"""A first look: an expression encoder for phones learns 32 embedded synthetic faces by heart, emotion loss and all.

Command: python training/train.py (the same as: python training/train.py default)
Expected on 2 cores: minutes; every loss falls, the rendered faces take on the expressions of the input,
the emotion term falls by more than 80 %, exp_correlation goes beyond 0.8. What is learnt here holds for these faces
only; the other recipes train for real.
"""

from training.config import Config, Weights

config = Config(
    family="mobilenet_v3",
    coarse_codes="truth",
    data="synthetic:plain",
    data_size=32,
    validation="train",
    validation_batches=4,
    background="input",  # on black even the true head would not feel like the picture: hair and neck are missing
    augment="none",
    balanced=False,
    batch_size=8,
    steps=800,
    learning_rate=1e-3,
    schedule="cosine",
    ema=0.98,
    clip_norm=1.0,
    picture_every=100,
    validate_every=100,
    checkpoint_every=50,
    patience=0,
    weights=Weights(landmarks_mp=5.0, codes=4.0, exp_reg=0.0),
)
