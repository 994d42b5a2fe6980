"""The DETAIL stage on embedded synthetic faces without VGG19, in minutes; codes are the true ones.

Command: python training/train.py detail_synthetic
Time: minutes on 2 cores. Expected: the texture's distance falls and the displacement goes to none, since these faces
have no wrinkles (docs/training.md).
"""

from training.config import Config, Weights

config = Config(
    stage="detail",
    family="mobilenet_v3",
    coarse_codes="truth",
    batch_size=6,
    ring=3,
    exchange=True,
    balanced=False,
    learning_rate=1e-4,
    steps=200,
    picture_every=50,
    validate_every=100,
    checkpoint_every=50,
    validation_batches=2,
    weights=Weights(detail_mrf=0.0),
)
