"""EMOCA's DETAIL stage as released: wrinkles that move with the expression.

Command: python training/train.py detail --set data=shards:SHARDS --set init=runs/coarse
Needs: pictures with known persons and VGG19 weights (--set vgg_network=FILE).
Time: days on a GPU, not run here. Expected: the paper's rows "with detail" (training/published.py).
"""

from training.config import Config

config = Config(
    stage="detail",
    data="shards:SHARDS",
    batch_size=12,
    ring=3,
    exchange=True,
    balanced=False,
    use_seg="gt",
    learning_rate=1e-4,
    patience=5,
)
