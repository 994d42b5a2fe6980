"""Analysis by synthesis: the codes whose head lies under the landmarks of one face.

The camera starts from a closed-form similarity between the neutral head and MediaPipe's 3D points; then Adam moves
shape, expression, pose and camera until the projected surface points meet the detected ones, with eyelid and lip
distances as in EMOCA v2 (``emoca:gdl/layers/losses/MediaPipeLandmarkLosses.py``) and priors that keep unseen axes at
rest. A second stage that sees pixels starts from there (:mod:`emoca_tf.capture.pixels`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from emoca_tf.codes import Codes, even_light
from emoca_tf.errors import UserError
from emoca_tf.faces.crop import CROP_SIZE
from emoca_tf.faces.detect import quiet_stderr
from emoca_tf.faces.mediapipe_points import CORNER_PAIRS, EMBEDDED_105, EYELID_PAIRS, FACE_OVAL, IRIS, LIP_PAIRS
from emoca_tf.flame.head import HeadModel
from emoca_tf.flame.layer import Flame
from emoca_tf.rendering.camera import project

Progress = Callable[[int, int, float], None]
"""Called after each step with (steps done, steps in all, loss)."""


@dataclass(frozen=True)
class FitOptions:
    """Weights of the fit. Distances are in the crop's [-1, 1]; each weight multiplies a mean unless it says sum."""

    steps: int = 400
    learning_rate: float = 0.02
    pixel_rounds: int = 2  # each: albedo and light in closed form, then pixel_steps; 0 leaves the pixels out
    pixel_steps: int = 60
    pixel_rate: float = 0.006
    photometric: float = 20.0
    emotion: float = 4.0
    landmarks: float = 100.0
    depth: float = 4.0
    eyelids: float = 80.0
    lips: float = 80.0
    corners: float = 40.0
    refine_share: float = 0.25  # of the steps, when an encoder's codes are refined instead of the mean head
    shape_prior: float = 0.006  # x sum of squares / 2
    expression_prior: float = 0.015  # x sum of squares / 2
    expression_sparsity: float = 0.008  # x sum of absolute values
    joint_prior: float = 8.0  # x sum of squares of neck, eyes, sideways jaw


# How far one unit of the optimiser's variable moves each group: brings all groups to one learning rate.
_STEP = {"shape": 3.0, "exp": 1.5, "pose": 0.5, "cam": 0.5, "neck_pose": 0.3, "eye_pose": 0.5}
_JAW_OPEN_LIMIT = 0.6  # radians
_JAW_SIDE_LIMIT = 0.15


def fit_landmarks(
    head: HeadModel,
    landmarks: np.ndarray,
    options: FitOptions | None = None,
    progress: Progress | None = None,
    start: Codes | None = None,
) -> Codes:
    """Fit a head to the landmarks of one face.

    Args:
        head: must have the ``mediapipe`` landmark table.
        landmarks: ``[478, 3]`` crop pixels (224 x 224 crop), z in the same unit, smaller nearer.
        options: weights and step count.
        progress: called after every step.
        start: an encoder's codes to refine: shape and expression are then held near them instead of near the mean
            head at rest, so that what landmarks do not show stays as it was encoded.

    Returns:
        Codes of one face, NumPy; ``tex`` and ``light`` are at rest (this stage sees no pixels).

    Raises:
        UserError: if the head has no MediaPipe landmarks.
    """
    options = options or FitOptions()
    if start is None:
        problem, steps = Problem(head, landmarks, options), options.steps
    else:
        problem = Problem(head, landmarks, options, start, around=start, rate=options.learning_rate / 2)
        steps = max(1, round(options.refine_share * options.steps))
    problem.run(steps, progress)
    return problem.codes()


class Problem:
    """Variables, targets and the compiled step of one fit.

    Args:
        head: see :func:`fit_landmarks`.
        landmarks: likewise.
        options: likewise.
        start: where to start; None for the closed form. A given start needs no settling: all axes are free at once.
        around: codes that the priors of shape and expression are centred on; None for the mean head at rest.
        rate: of the first step; by default that of the stage (landmarks without a start, pixels with one).
        pixels: a further loss of ``(vertices [1, V, 3], cam [1, 3])``, see :class:`emoca_tf.capture.pixels.PixelTerm`.
    """

    def __init__(
        self,
        head: HeadModel,
        landmarks: np.ndarray,
        options: FitOptions,
        start: Codes | None = None,
        around: Codes | None = None,
        rate: float | None = None,
        pixels: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None,
    ) -> None:
        if "mediapipe" not in head.landmarks or head.mediapipe_indices is None:
            raise UserError(
                f"head '{head.name}' has no MediaPipe landmarks; import it with --mediapipe to fit it to photos"
            )
        self.head, self.options, self.flame = head, options, Flame(head)
        order = [int(i) for i in head.mediapipe_indices]
        target = np.asarray(landmarks, np.float32)[order] / (CROP_SIZE / 2)
        self.target = tf.constant(np.concatenate([target[:, :2] - 1, target[:, 2:] - target[:, 2:].mean()], 1))
        self.weights = tf.constant(_point_weights(order))
        self.pairs = [
            (weight, *_rows(order, pairs))
            for weight, pairs in (
                (options.eyelids, EYELID_PAIRS),
                (options.lips, LIP_PAIRS),
                (options.corners, CORNER_PAIRS),
            )
        ]
        self.pixels = pixels
        self._settle = 20.0 if start is None else 0.0
        self._rate = rate or (options.learning_rate if start is None else options.pixel_rate)
        self._centre = {
            name: tf.zeros((1, size)) if around is None else tf.constant(getattr(around, name), tf.float32)
            for name, size in (("shape", head.n_shape), ("exp", head.n_exp))
        }
        values = self._rest() if start is None else start.numpy().to_dict()
        self.variables = {name: tf.Variable(values[name] / _STEP[name]) for name in _STEP}
        self.step = tf.function(self._step)
        self._moments = {
            name: (tf.Variable(tf.zeros_like(v)), tf.Variable(tf.zeros_like(v))) for name, v in self.variables.items()
        }
        self._count = tf.Variable(0.0)

    def run(self, steps: int, progress: Progress | None = None) -> None:
        """Take ``steps`` steps; the rate falls and the priors ease over them."""
        for step in range(steps):
            # The first step compiles; TensorFlow's optimiser then logs what does not matter, whatever the log level.
            with quiet_stderr() if step == 0 else nullcontext():
                loss = self.step(tf.constant(step / steps))
            if progress is not None:
                progress(step + 1, steps, float(loss))

    def _rest(self) -> dict[str, np.ndarray]:
        """The neutral head, placed by the closed form."""
        sizes = {"shape": self.head.n_shape, "exp": self.head.n_exp, "pose": 6, "cam": 3, "neck_pose": 3, "eye_pose": 6}
        start = {name: np.zeros((1, size), np.float32) for name, size in sizes.items()}
        start["pose"][0, :3], start["cam"][0] = self._closed_form()
        return start

    def _values(self) -> dict[str, tf.Tensor]:
        return {name: _STEP[name] * variable for name, variable in self.variables.items()}

    def _closed_form(self) -> tuple[np.ndarray, np.ndarray]:
        """Similarity of the neutral head's points to the detected 3D ones (Umeyama) -> axis-angle, (s, tx, ty)."""
        import cv2

        zeros = [tf.zeros((1, n)) for n in (self.head.n_shape, self.head.n_exp, 6)]
        neutral = self.flame(*zeros)
        root = neutral.joints.numpy()[0, 0].astype(np.float64)  # FLAME turns about this joint, not about the origin
        source = neutral.landmarks_mp.numpy()[0].astype(np.float64) - root
        target = self.target.numpy().astype(np.float64) * [1, -1, -1]  # y up, z towards the viewer
        mean_source, mean_target = source.mean(0), target.mean(0)
        u, singular, vt = np.linalg.svd((target - mean_target).T @ (source - mean_source))
        sign = np.array([1, 1, np.linalg.det(u @ vt)])
        rotation = u @ np.diag(sign) @ vt
        scale = (singular * sign).sum() / ((source - mean_source) ** 2).sum()
        offset = mean_target / scale - rotation @ mean_source - root
        axis_angle = cv2.Rodrigues(rotation)[0].ravel()
        return axis_angle, np.array([scale, offset[0], offset[1]])

    def _loss(self, progress: tf.Tensor) -> tf.Tensor:
        o, v = self.options, self._values()
        posed = self.flame(v["shape"], v["exp"], v["pose"], v["neck_pose"], v["eye_pose"])
        image = project(posed.landmarks_mp, v["cam"])[0]
        # Camera and pose settle first; identity and expression are let go gradually.
        tight = 1.0 + self._settle * tf.maximum(0.0, 1.0 - 4.0 * progress)
        difference = tf.sqrt(tf.reduce_sum((image[:, :2] - self.target[:, :2]) ** 2, -1) + 1e-6)
        depth = image[:, 2] - tf.reduce_mean(image[:, 2]) - self.target[:, 2]
        loss = o.landmarks * tf.reduce_sum(self.weights * difference) / tf.reduce_sum(self.weights)
        loss += o.depth * tf.reduce_mean(tf.abs(depth))
        for weight, first, second in self.pairs:
            if len(first):
                loss += weight * tf.reduce_mean(
                    tf.abs(_distance(image, first, second) - _distance(self.target, first, second))
                )
        shape, exp = (v[name] - self._centre[name] for name in ("shape", "exp"))
        loss += tight * o.shape_prior * tf.reduce_sum(shape**2) / 2
        loss += tight * o.expression_prior * tf.reduce_sum(exp**2) / 2
        loss += o.expression_sparsity * tf.reduce_sum(tf.abs(exp))
        joints = tf.concat([v["neck_pose"] * 3.0, v["eye_pose"] * 0.3, v["pose"][:, 4:]], 1)
        loss += o.joint_prior * tf.reduce_sum(joints**2)
        return loss if self.pixels is None else loss + self.pixels(posed.vertices, v["cam"])

    def _step(self, progress: tf.Tensor) -> tf.Tensor:
        """One Adam step (beta 0.9, 0.99) with a cosine rate, then the limits of each axis."""
        with tf.GradientTape() as tape:
            loss = self._loss(progress)
        gradients = tape.gradient(loss, list(self.variables.values()))
        rate = self._rate * (0.55 + 0.45 * tf.cos(np.pi * progress))
        self._count.assign_add(1.0)
        for (name, variable), gradient in zip(self.variables.items(), gradients, strict=True):
            first, second = self._moments[name]
            first.assign(0.9 * first + 0.1 * gradient)
            second.assign(0.99 * second + 0.01 * gradient**2)
            move = (first / (1 - 0.9**self._count)) / (tf.sqrt(second / (1 - 0.99**self._count)) + 1e-8)
            variable.assign_sub(rate * move)
        if self.head.exp_range is not None:
            low, high = (tf.constant(self.head.exp_range[None, :, i] / _STEP["exp"], tf.float32) for i in (0, 1))
            self.variables["exp"].assign(tf.clip_by_value(self.variables["exp"], low, high))
        free = 10.0
        low = tf.constant([[-free] * 3 + [-0.02, -_JAW_SIDE_LIMIT, -_JAW_SIDE_LIMIT]]) / _STEP["pose"]
        high = tf.constant([[free] * 3 + [_JAW_OPEN_LIMIT, _JAW_SIDE_LIMIT, _JAW_SIDE_LIMIT]]) / _STEP["pose"]
        self.variables["pose"].assign(tf.clip_by_value(self.variables["pose"], low, high))
        return loss

    def codes(self) -> Codes:
        values = {name: value.numpy() for name, value in self._values().items()}
        return Codes(tex=np.zeros((1, 50), np.float32), light=even_light(1), **values)


def _point_weights(order: Sequence[int]) -> np.ndarray:
    important, outline, iris = set(EMBEDDED_105), set(FACE_OVAL), set(IRIS)
    return np.array(
        [2.0 if i in important else 0.15 if i in outline else 1.0 if i in iris else 0.4 for i in order], np.float32
    )


def _rows(order: Sequence[int], pairs: Sequence[tuple[int, int]]) -> tuple[list[int], list[int]]:
    """Rows of both ends of every pair that the head's table holds."""
    row = {point: r for r, point in enumerate(order)}
    present = [(row[a], row[b]) for a, b in pairs if a in row and b in row]
    return [a for a, _ in present], [b for _, b in present]


def _distance(points: tf.Tensor, first: list[int], second: list[int]) -> tf.Tensor:
    # The tiny constant keeps the gradient finite where lids or lips touch (trap 13).
    gap = tf.gather(points[:, :2], first) - tf.gather(points[:, :2], second)
    return tf.sqrt(tf.reduce_sum(gap**2, -1) + 1e-8)
