"""The embedded emotion network trained further on labelled real faces.

Command: python training/train.py emotion_mobile --out runs/emotion_mobile
Data (research data, not part of this project): FACES/mux_train_jpeg.npz and FACES/fer_train.npz, packed real faces and
FER2013's training mosaics, see docs/data.md.
Time: 8 minutes of one core. Seen once, on the same shares drawn by a script: development accuracy 0.776 (mux) and 0.549
(fer), mean recall 0.513 and 0.486. The embedded network has 0.746, 0.541 and 0.531, 0.537: less accuracy, more recall.
So the embedded network stays the one of the loss (docs/emotion.md).
Contempt has next to no pictures: it stays unlabelled, and its logit stays where no picture ever chooses it.
"""

from training.config import Config, Weights

config = Config(
    stage="emotion",
    family="mobilenet_v3",
    emotion_family="default",
    data="2*packed:FACES/mux_train_jpeg.npz,classes=7+5*mosaics:FACES/fer_train.npz,border=0",
    augment="robust",
    balance_power=0.5,
    label_smoothing=0.1,
    batch_size=64,
    steps=800,
    learning_rate=1e-3,
    schedule="cosine",
    ema=0.99,
    clip_norm=1.0,
    validate_every=100,
    picture_every=200,
    checkpoint_every=100,
    patience=0,
    weights=Weights(valence_arousal=0.0),
)
