"""The emotion recognition network on AffectNet, as released.

Command: python training/train.py emotion --set data=affectnet:/data/AffectNet --set init=vggface2.npz
Time: hours on a GPU, not run here. Expected (EmoNet's cleaned test set, a comparable network): accuracy about 0.75.
"""

from training.config import Config

config = Config(
    stage="emotion",
    data="affectnet:AffectNet",
    batch_size=64,
    learning_rate=1e-4,
    patience=10,
)
