"""What a difference between codes means: millimetres on the head, pixels in the crop, another emotion on the face."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np

from emoca_tf.codes import Codes, split
from emoca_tf.flame.head import HeadModel

CROP_MARGIN = 1.1 * 1.25  # how much larger than the landmarks' box a crop is
AMBIENT = 3.5449077  # band 0 of a light that gives shading 1
BATCH = 16


class Geometry:
    """Decodes codes, whole or partial, with one head.

    Args:
        head: the head model.
    """

    def __init__(self, head: HeadModel) -> None:
        from emoca_tf.flame.layer import Flame

        self.head = head
        self.flame = Flame(head)

    def codes(self, outputs: Mapping[str, np.ndarray]) -> Codes:
        """An encoder's outputs ``[B, ...]`` as complete codes; the mean head, looking straight, fills the rest."""
        batch = len(next(iter(outputs.values())))
        if "codes" in outputs:
            sizes = {"shape": self.head.n_shape, "tex": 50, "exp": self.head.n_exp, "pose": 6, "cam": 3, "light": 27}
            return split(outputs["codes"], sizes)
        zeros = {"shape": self.head.n_shape, "tex": 50, "exp": self.head.n_exp, "global": 3, "jaw": 3}
        values = {k: outputs.get(k, np.zeros((batch, n), np.float32)) for k, n in zeros.items()}
        light = np.zeros((batch, 9, 3), np.float32)
        light[:, 0] = AMBIENT
        eyelid = outputs.get("eyelid") if self.head.eyelids is not None else None
        return Codes(
            shape=values["shape"], tex=values["tex"], exp=values["exp"],
            pose=np.concatenate([values["global"], values["jaw"]], 1),
            cam=outputs.get("cam", np.tile(self.camera, (batch, 1))),
            light=light, eyelid=eyelid,
        )  # fmt: skip

    @cached_property
    def camera(self) -> np.ndarray:
        """``[3]`` the camera under which the mean head's landmarks fill the crop as usual."""
        table = self.head.landmarks.get("static")
        points = self.head.v_template
        if table is not None:
            corners = points[self.head.f[table.faces_idx.reshape(-1)]]
            points = (corners * table.bary_coords.reshape(-1, 3, 1)).sum(1)
        low, high = points[:, :2].min(0), points[:, :2].max(0)
        return np.array([2 / (CROP_MARGIN * (high - low).mean()), *(-(low + high) / 2)], np.float32)

    @cached_property
    def face(self) -> np.ndarray:
        """Vertices whose error counts: the face region, or all of a head without regions."""
        return np.asarray(self.head.masks.get("face", np.arange(self.head.n_vertices)))

    def decode(self, codes: Codes) -> tuple[np.ndarray, np.ndarray | None]:
        """Vertices ``[B, V, 3]`` in metres and projected landmarks ``[B, 68, 2]`` in pixels of the 224 crop."""
        from emoca_tf.rendering.camera import project, to_pixels

        out = self.flame(codes.shape, codes.exp, codes.pose, eyelid=codes.eyelid)
        if out.landmarks2d is None:
            return out.vertices.numpy(), None
        return out.vertices.numpy(), to_pixels(project(out.landmarks2d, codes.cam)).numpy()

    @cached_property
    def _renderer(self) -> Any:
        from emoca_tf.rendering.renderer import Renderer

        return Renderer(self.head, size=224)

    @cached_property
    def _albedo(self) -> np.ndarray:
        from emoca_tf.rendering.albedo import AlbedoModel

        return AlbedoModel.load("default").mean[None].astype(np.float32)

    def pictures(self, codes: Codes, vertices: np.ndarray) -> np.ndarray:
        """``[B, 224, 224, 3]`` in 0..1: the head with mean albedo under even light, on black."""
        batch = len(vertices)
        drawn = self._renderer(vertices, codes.cam, np.repeat(self._albedo, batch, 0), codes.light)
        return (drawn.image * drawn.mask).numpy()

    def previews(self, codes: Codes, vertices: np.ndarray) -> np.ndarray:
        """``[B, 224, 224, 3]`` in 0..1: the grey head."""
        return self._renderer.shape_image(vertices, codes.cam).numpy()


class EmotionReader:
    """The embedded emotion network on rendered heads."""

    def __init__(self) -> None:
        import keras

        from emoca_tf.emotion.default import load_default

        self.network = load_default(keras)

    def __call__(self, pictures: np.ndarray) -> dict[str, np.ndarray]:
        """``[B, 224, 224, 3]`` -> ``expression``, ``valence``, ``arousal``."""
        return {name: np.asarray(value) for name, value in self.network(pictures, training=False).items()}
