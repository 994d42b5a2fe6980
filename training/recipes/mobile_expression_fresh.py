"""The embedded phone-sized encoders, step 6 of 10: the expression encoder on renders that it has not seen.

Command: python -m training.datasets.rendered FACES/synthetic_train4.npz --count 24000 --seed 3
         python training/train.py mobile_expression_fresh --out runs/mobile_expression_fresh
         python -m training.export_preset runs/mobile_expression_fresh --gain 1.25 -o runs/fresh.npz
         python -m training.average runs/feeling.npz runs/fresh.npz -o runs/expression.npz
By the end of step 5 the codes of new renders no longer came nearer while those of trained ones did. The mean with
step 4 is taken: this one knows more of geometry, that one learnt from the emotion loss. About 20 minutes on
2 cores. Next: mobile_expression_moved.
"""

from dataclasses import replace

from training.recipes import mobile_expression_more

config = replace(
    mobile_expression_more.config,
    seed=7,
    init=("runs/mobile_expression_more",),
    data="1*rendered:FACES/synthetic_train.npz"
    "+1*rendered:FACES/synthetic_train2.npz"
    "+1*rendered:FACES/synthetic_train3.npz"
    "+3*rendered:FACES/synthetic_train4.npz"
    "+2*packed:FACES/mux_train_jpeg.npz,teacher=blendshapes"
    "+2*mosaics:FACES/fer_train.npz,teacher=blendshapes",
    steps=5000,
    learning_rate=4e-4,
)
