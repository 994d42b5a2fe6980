"""A read-out for the embedded model: expression and jaw codes to emotion, on codes that were stored beforehand.

Command: python benchmarks/emotion.py --data DATA --weights default --readout logreg --save CODES
         python training/train.py readout_mobile --out runs/readout_mobile
         python training/evaluate.py --dataset codes:CODES/default_fer_dev.npz --readout runs/readout_mobile
Time: a minute once the codes are stored. Seen with 400 steps on 3,751 pictures: development accuracy 0.694 (mux) and
0.494 (fer), mean recall 0.444 and 0.432 (docs/emotion.md).
Valence and arousal are derived from the class probabilities (``emoca_tf/emotion/circumplex.py``): the data have none.
"""

from training.config import Config, Weights

config = Config(
    stage="readout",
    family="mobilenet_v3",
    readout="small",
    coarse_codes="truth",
    data="1*codes:CODES/default_mux_train.npz+2*codes:CODES/default_fer_train.npz",
    augment="none",
    balance_power=0.75,
    label_smoothing=0.1,
    batch_size=128,
    steps=1000,
    learning_rate=1e-3,
    schedule="cosine",
    ema=0.995,
    clip_norm=1.0,
    log_every=50,
    validate_every=250,
    picture_every=1000,
    checkpoint_every=500,
    patience=0,
    weights=Weights(valence_arousal=0.0),
)
