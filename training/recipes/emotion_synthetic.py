"""A phone-sized emotion network on embedded synthetic faces.

Command: python training/train.py emotion_synthetic
Time: 24 000 faces, --dry-run estimates it. Expected: accuracy on other synthetic people far above chance (0.125); 32
faces by heart reach 1.00 (docs/training.md).
The rate falls to zero: the running statistics of MobileNetV3's many batch norms agree with the weights only when these
come to rest. At a constant rate it knew every training picture with batch statistics and none with the running ones.
"""

from training.config import Config

config = Config(
    stage="emotion",
    family="mobilenet_v3",
    batch_size=16,
    learning_rate=1e-3,
    schedule="cosine",
    clip_norm=1.0,
    ema=0.99,
    steps=1500,
    validate_every=250,
    picture_every=250,
    checkpoint_every=250,
    patience=0,
)
