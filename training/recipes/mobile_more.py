"""The embedded phone-sized encoders, step 2 of 10: the same again on more renders, three times.

Command: python -m training.datasets.rendered FACES/synthetic_train3.npz --count 24000 --seed 2
         python training/train.py mobile_more --set init=runs/mobile_pretrain --out runs/mobile_more
         python training/train.py mobile_more --set init=runs/mobile_more --set seed=2 --out runs/mobile_more2
         python training/train.py mobile_more --set init=runs/mobile_more2 --set seed=3 --set augment=mobile-tilted \
             --out runs/mobile_more3
Goes on from step 1 with other orders of the pictures, half of them renders now: the expressions of renders were still
getting better where step 1 ended, and again where each round ended. The last round turns three of ten pictures by up
to 75 degrees. An hour each on 2 cores. Next: mobile_expression.
"""

from dataclasses import replace

from training.recipes import mobile_pretrain

config = replace(
    mobile_pretrain.config,
    init=("runs/mobile_pretrain",),
    seed=1,
    data=mobile_pretrain.config.data.replace("+3*packed", "+3*rendered:FACES/synthetic_train3.npz+3*packed"),
)
