"""One run, described: a frozen dataclass with the release's defaults, ``key=value`` on top, recipes by name.

The defaults are those of the released EMOCA (spec sections 4.6 and 5); a recipe states only what it changes.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from emoca_tf.errors import UserError

STAGES = ("emotion", "coarse_pretrain", "coarse", "detail", "readout", "distill")
CHOICES: dict[str, tuple[str, ...]] = {
    "stage": STAGES,
    "family": ("resnet50", "mobilenet_v3", "separable"),
    "emotion_family": ("family", "resnet50", "mobilenet_v3", "default"),
    "emotion_distance": ("mse", "l1", "cosine", "mse_normalised", "correlation"),
    "readout": ("emodeca", "small"),
    "layout": ("exp", "exp+jaw", "exp+global", "exp+pose"),
    "coarse_codes": ("encoder", "truth"),
    "use_seg": ("rend", "gt", "intersection", "union"),
    "background": ("black", "input"),
    "eyelid_pairs": ("paired", "sorted"),
    "schedule": ("constant", "cosine"),
    "augment": (
        "stage",
        "none",
        "coarse",
        "detail",
        "emotion",
        "deca",
        "mixed-sources",
        "mobile",
        "mobile-tilted",
        "robust",
    ),
    "precision": ("float32", "mixed_float16", "mixed_bfloat16"),
}
RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class Weights:
    """λ of every loss term; 0 leaves the term out. The defaults are the released COARSE stage's (losses 4.6)."""

    emotion: float = 1.0
    photometric: float = 2.0
    landmarks: float = 0.0
    landmarks_mp: float = 0.0
    landmarks_ocular: float = 0.0  # MediaPipe's landmarks, in units of the picture's inter-ocular distance
    eye_closure: float = 0.5
    mouth_closure: float = 0.5
    lip_corner: float = 0.5
    eye_closure_mp: float = 0.0
    mouth_closure_mp: float = 0.0
    lip_corner_mp: float = 0.0
    identity: float = 0.0
    shape_reg: float = 0.0
    exp_reg: float = 1e-4
    tex_reg: float = 0.0
    light_reg: float = 0.0
    codes: float = 0.0  # synthetic pictures only: distance to the true codes, of those that the stage learns
    deformation: float = 0.0  # how far the true or taught expression moves the vertices otherwise (mm)
    taught: float = 0.0  # distance to the true expression and jaw, or a teacher's
    labels: float = 0.0  # cross-entropy of the label, read linearly from expression and jaw
    posterior: float = 0.0  # cross-entropy of what the emotion network says of the photo, read as the label is
    points: float = 0.0  # MediaPipe's landmarks in the crop, read linearly from the trunk's features
    hint: float = 0.0  # the emotion network's features of the photo, read linearly from the trunk's
    detail_l1: float = 5.0
    detail_mrf: float = 0.25
    detail_z: float = 0.005
    detail_diff: float = 0.005
    detail_sym: float = 0.005
    valence_arousal: float = 1.0
    expression: float = 1.0
    teacher_codes: float = 1.0
    teacher_vertices: float = 100.0
    teacher_points: float = 1.0
    teacher_emotion: float = 0.1


@dataclass(frozen=True)
class Config:
    """Everything a run depends on.

    Attributes:
        stage: what is learnt, a module of ``training/stages``.
        family: ``resnet50`` (DECA, EMOCA) or ``mobilenet_v3`` (SMIRK's trio, for phones) or ``separable`` (the same
            trio on a trunk that starts from the embedded emotion network).
        head: ``default`` or a head file written by ``HeadModel.save``.
        albedo: ``default`` or an albedo file written by ``AlbedoModel.save``.
        tied: the mobile shape and expression encoders are one trunk with two heads while they learn; half the time.
        shrink: how far the mobile encoders shrink their pictures (1 or 2); what is rendered for comparison is as small.
            A quarter of the work, in training and on a phone.
        still: batch norms keep their statistics while the encoders learn; for the last steps on mixed sources, whose
            batches differ more among themselves than from the mean.
        layout: what the ResNet expression encoder replaces; the mobile one always gives expression and jaw.
        init: run directories or weight files to start from, by network name; later ones win.
        emotion_family: architecture that the emotion stage trains: that of the ``family``, or another, or ``default``,
            the embedded network, which starts from its embedded weights.
        readout: ``emodeca`` (as released), or ``small``: expression and jaw only, valence and arousal derived.
        emotion_network: ``default`` (embedded), ``none``, or the run directory or weights of an emotion network.
        emotion_distance: between the emotion network's features of photo and rendering, see
            :func:`emoca_tf.losses.emotion_features`; ``mse`` as released.
        identity_network: weights of the VGGFace2 network; needed when ``weights.identity`` > 0.
        vgg_network: weights of VGG19; needed when ``weights.detail_mrf`` > 0.
        expression: in the coarse pretraining of mobile encoders, the run directory or weights whose expression encoder
            is used as it is: pose and shape encoder learn to suit it. Empty: it is learnt, too.
        coarse_codes: in the coarse stage, what the frozen part comes from: its ``encoder``, or, for synthetic data,
            the ``truth``.
        teacher: in the distillation, the teacher's run directory, or ``truth`` for the codes of synthetic pictures.
        data: training source, ``kind`` or ``kind:path`` (see ``training/datasets``).
        data_size: number of different pictures of a synthetic source; 0 is endless.
        validation: source for validation; empty uses held-out pictures of ``data``.
        validation_batches: batches per validation.
        batch_size: pictures a step over all replicas.
        ring: pictures of one person in a row (K of DECA); 1 for none.
        exchange: in every ring also train on exchanged shape codes (DECA's coarse stage) or detail codes.
        balanced: draw every expression class equally often.
        balance_power: of the weight 1 / class count of balanced drawing; below 1 rare classes are repeated less.
        augment: a preset of ``training/datasets/augment.py``; ``stage`` is the one that the release used for the stage.
        seed: of weights, data order and everything random.
        steps: length of the run.
        learning_rate: Adam's.
        calm: factor of the learning rate for dense kernels of more than 500 inputs (heads of ``mobilenet_v3``,
            too), see ``training/optimizer.py``; 1 is plain Adam (as released).
        schedule: ``constant`` (as released), or ``cosine`` down to 0 at the last step.
        clip_norm: global norm the gradient is clipped to; 0 is off (as released).
        ema: decay of the averaged weights; 0 is off (as released).
        precision: Keras dtype policy of the networks; losses and the renderer stay in float32.
        freeze_head: keep the emotion network's last layer at its random start, as the original did by mistake.
        label_smoothing: share of the cross-entropy's target that is spread over the classes that the data has.
        class_weights: weigh the expressions' cross-entropy by inverse frequency (off in the release).
        shake: random weights of the valence/arousal terms at each step.
        use_seg: which mask the photometric loss and the composite use.
        background: behind the rendered head.
        eyelid_pairs: ``sorted`` repeats the original's scrambled MediaPipe eyelid pairs.
        log_every: steps between lines of ``metrics.csv``.
        picture_every: steps between pictures.
        validate_every: steps between validations.
        checkpoint_every: steps between checkpoints.
        patience: validations without improvement before stopping; 0 never stops early.
        weights: λ of the loss terms.
    """

    stage: str = "coarse"
    family: str = "resnet50"
    head: str = "default"
    albedo: str = "default"
    tied: bool = False
    shrink: int = 1
    still: bool = False
    layout: str = "exp"
    init: tuple[str, ...] = ()
    emotion_family: str = "family"
    readout: str = "emodeca"
    emotion_network: str = "default"
    emotion_distance: str = "mse"
    identity_network: str = ""
    vgg_network: str = ""
    expression: str = ""
    coarse_codes: str = "encoder"
    teacher: str = ""
    data: str = "synthetic"
    data_size: int = 0
    validation: str = ""
    validation_batches: int = 4
    batch_size: int = 32
    ring: int = 1
    exchange: bool = False
    balanced: bool = True
    balance_power: float = 1.0
    augment: str = "stage"
    seed: int = 0
    steps: int = 100_000
    learning_rate: float = 5e-5
    calm: float = 1.0
    schedule: str = "constant"
    clip_norm: float = 0.0
    ema: float = 0.0
    precision: str = "float32"
    freeze_head: bool = False
    shake: bool = True
    label_smoothing: float = 0.0
    class_weights: bool = False
    use_seg: str = "rend"
    background: str = "black"
    eyelid_pairs: str = "paired"
    log_every: int = 1
    picture_every: int = 500
    validate_every: int = 500
    checkpoint_every: int = 500
    patience: int = 15
    weights: Weights = field(default_factory=Weights)

    def __post_init__(self) -> None:
        for key, allowed in CHOICES.items():
            if getattr(self, key) not in allowed:
                raise UserError(f"{key}={getattr(self, key)!r} is unknown{suggestion(getattr(self, key), allowed)}")
        for key in ("batch_size", "ring", "steps", "log_every", "picture_every", "validate_every", "checkpoint_every"):
            if getattr(self, key) < 1:
                raise UserError(f"{key} must be at least 1; received {getattr(self, key)}")
        if self.shrink not in (1, 2):
            raise UserError(f"shrink is 1 or 2; received {self.shrink}")
        if self.shrink > 1 and self.family == "resnet50":
            raise UserError("shrink=2 needs a mobile family")
        if self.tied and self.family == "resnet50":
            raise UserError("tied=true needs a mobile family; ResNet has no shape encoder of its own")
        if self.expression and (self.family == "resnet50" or self.stage != "coarse_pretrain"):
            raise UserError("expression=... is for the stage coarse_pretrain of a mobile family")
        if self.emotion_distance == "correlation" and self.batch_size < 2:
            raise UserError("emotion_distance=correlation compares pictures of a batch; give batch_size=2 or more")
        if not 0 < self.calm <= 1:
            raise UserError(f"calm is a factor in 0..1 and not 0; received {self.calm}")
        if not 0 <= self.ema < 1:
            raise UserError(f"ema is a decay in 0..1, such as 0.999; received {self.ema}")
        if not 0 <= self.label_smoothing <= 1:
            raise UserError(f"label_smoothing must lie in 0..1; received {self.label_smoothing}")
        if self.batch_size % self.ring:
            raise UserError(f"batch_size {self.batch_size} is not a multiple of ring {self.ring}")

    @property
    def emotion_architecture(self) -> str:
        """``emotion_family`` with ``family`` resolved."""
        return self.family if self.emotion_family == "family" else self.emotion_family

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2)


def suggestion(key: str, known: Sequence[str]) -> str:
    """``; did you mean ...?`` for a misspelt key, or the list of what exists."""
    near = difflib.get_close_matches(str(key), known, 1)
    return f"; did you mean {near[0]}?" if near else f"; there are: {', '.join(known)}"


def with_settings(config: Config, settings: Sequence[str]) -> Config:
    """``config`` with ``key=value`` settings applied, each parsed to its field's type; ``weights.KEY=...`` for a λ.

    Raises:
        UserError: unknown key (the nearest is suggested) or a value of the wrong type.
    """
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals:
            raise UserError(f"--set {setting}: write key=value, such as --set batch_size=16")
        config = _with_one(config, key.strip(), text.strip())
    return config


def _with_one(config: Config, key: str, text: str) -> Config:
    owner: Any = config
    parent, dot, leaf = key.partition(".")
    if dot and parent == "weights":
        owner = config.weights
    else:
        leaf = key
    kinds = typing.get_type_hints(type(owner))
    known = [f.name for f in fields(owner)]
    if owner is config:
        known = [name for name in known if name != "weights"]
    if leaf not in known:
        offered = [*known, *(f"weights.{f.name}" for f in fields(Weights))] if owner is config else known
        raise UserError(f"unknown setting {key!r}{suggestion(key if owner is config else leaf, offered)}")
    changed = replace(owner, **{leaf: parse(text, kinds[leaf], key)})
    return changed if owner is config else replace(config, weights=changed)


def parse(text: str, kind: Any, key: str) -> Any:
    """Text -> bool, int, float, str or tuple of str.

    Raises:
        UserError: the text does not mean such a value.
    """
    if kind is str:
        return text
    if kind is bool:
        truth = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if text.lower() not in truth:
            raise UserError(f"{key}={text}: true or false expected")
        return truth[text.lower()]
    if typing.get_origin(kind) is tuple:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    try:
        return kind(text.replace("_", "") if kind is int else text)
    except ValueError:
        raise UserError(f"{key}={text}: a number of type {kind.__name__} expected") from None


def from_json(text: str) -> Config:
    """The inverse of :meth:`Config.to_json`; keys of other versions are errors, as in settings.

    Raises:
        UserError: damaged text or unknown keys.
    """
    try:
        values = json.loads(text)
        weights = Weights(**values.pop("weights"))
        return Config(**values | {"init": tuple(values["init"]), "weights": weights})
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"config.json is damaged or of another version ({error})") from None


def recipe_names() -> list[str]:
    """Names of the recipes in ``training/recipes``."""
    return sorted(path.stem for path in RECIPES.glob("*.py") if path.stem != "__init__")


def load_recipe(name: str) -> tuple[Config, types.ModuleType]:
    """The recipe's configuration and module; only modules of ``training/recipes`` are ever imported.

    Raises:
        UserError: no such recipe; the nearest is suggested.
    """
    name = name.removesuffix(".py").replace("-", "_")
    if name not in recipe_names():
        raise UserError(f"no recipe {name!r}{suggestion(name, recipe_names())}")
    module = import_module(f"training.recipes.{name}")
    return module.config, module


def differences(old: Config, new: Config) -> Mapping[str, tuple[Any, Any]]:
    """Key -> (old, new) of everything that differs."""
    return {
        f.name: (getattr(old, f.name), getattr(new, f.name))
        for f in fields(Config)
        if getattr(old, f.name) != getattr(new, f.name)
    }
