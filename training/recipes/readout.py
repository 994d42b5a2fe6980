"""EmoDECA as released: valence, arousal and expression from shape, expression and jaw codes.

Command: python training/train.py readout --set data=affectnet:/data/AffectNet --set init=runs/coarse
Time: hours on a GPU, not run here. Expected: the paper's AffectNet table (training/published.py).
"""

from training.config import Config

config = Config(
    stage="readout",
    data="affectnet:AffectNet",
    batch_size=64,
    learning_rate=1e-4,
    patience=10,
)
