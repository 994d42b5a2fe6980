"""The losses of DECA and EMOCA, one function each: tensors in, a scalar out.

Weights (λ) are training configuration and stand in the recipes. Everything is the released code's arithmetic (losses
specification, which names the files); where the release is odd, an option keeps both readings and says which is the
paper's. All functions run in ``tf.function`` and have finite gradients where both sides are equal.
"""

from emoca_tf.losses.detail import detail_l1, displacement_regulariser, displacement_smoothness, displacement_symmetry
from emoca_tf.losses.distances import (
    eye_closure,
    eye_closure_mediapipe,
    lip_corners,
    lip_corners_mediapipe,
    mouth_closure,
    mouth_closure_mediapipe,
)
from emoca_tf.losses.emotion import emotion_features, emotion_readouts
from emoca_tf.losses.exchange import exchange, ring_permutation
from emoca_tf.losses.identity import identity
from emoca_tf.losses.idmrf import id_mrf
from emoca_tf.losses.landmarks import mediapipe_landmarks, ocular_landmarks, weighted_landmarks
from emoca_tf.losses.photometric import photometric
from emoca_tf.losses.recognition import (
    class_weights,
    concordance_loss,
    expression_cross_entropy,
    mean_squared_error,
    pearson_loss,
)
from emoca_tf.losses.regularisers import code_deviation, code_regulariser, jaw_regulariser, light_regulariser

__all__ = [
    "class_weights",
    "code_deviation",
    "code_regulariser",
    "concordance_loss",
    "detail_l1",
    "displacement_regulariser",
    "displacement_smoothness",
    "displacement_symmetry",
    "emotion_features",
    "emotion_readouts",
    "exchange",
    "expression_cross_entropy",
    "eye_closure",
    "eye_closure_mediapipe",
    "id_mrf",
    "identity",
    "jaw_regulariser",
    "light_regulariser",
    "lip_corners",
    "lip_corners_mediapipe",
    "mean_squared_error",
    "mediapipe_landmarks",
    "mouth_closure",
    "mouth_closure_mediapipe",
    "ocular_landmarks",
    "pearson_loss",
    "photometric",
    "ring_permutation",
    "weighted_landmarks",
]
