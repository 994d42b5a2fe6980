"""The read-out on the true codes of embedded synthetic faces, in minutes.

Command: python training/train.py readout_synthetic
"""

from training.config import Config

config = Config(
    stage="readout",
    coarse_codes="truth",
    batch_size=16,
    learning_rate=1e-4,
    steps=600,
    validate_every=100,
    picture_every=200,
    checkpoint_every=100,
)
