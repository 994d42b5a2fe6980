"""The read-out on the true codes of embedded synthetic faces, in minutes.

Command: python training/train.py readout_synthetic
Time: minutes on 2 cores. Expected: accuracy 0.75 on other people after 300 of the 600 steps (docs/training.md).
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
