"""Published results, to stand beside what was measured here; figures only, each with its source and its split.

EMOCA's table: the results picture in ``gdl_apps/EmotionRecognition`` of radekd91/emoca. Valence, arousal and expression
there come from a read-out on each method's codes, except for EmoNet, which reads the picture.
"""

from __future__ import annotations

from collections.abc import Sequence

COLUMNS = (
    *(("valence", name) for name in ("PCC", "CCC", "RMSE", "SAGR")),
    *(("arousal", name) for name in ("PCC", "CCC", "RMSE", "SAGR")),
    ("expression", "accuracy"),
)
EMOCA_AFFECTNET: dict[str, tuple[float, ...]] = {
    "EmoNet (picture)": (0.75, 0.73, 0.32, 0.80, 0.68, 0.65, 0.29, 0.78, 0.68),
    "Deng et al. (Deep3DFace)": (0.75, 0.73, 0.33, 0.80, 0.66, 0.65, 0.31, 0.78, 0.65),
    "ExpNet": (0.45, 0.42, 0.43, 0.73, 0.39, 0.36, 0.38, 0.64, 0.46),
    "MGCNet": (0.71, 0.69, 0.35, 0.80, 0.59, 0.58, 0.34, 0.77, 0.60),
    "3DDFA-V2": (0.63, 0.62, 0.39, 0.75, 0.53, 0.50, 0.34, 0.73, 0.52),
    "DECA": (0.70, 0.69, 0.36, 0.76, 0.59, 0.58, 0.33, 0.74, 0.59),
    "DECA with detail": (0.70, 0.69, 0.37, 0.77, 0.59, 0.57, 0.33, 0.77, 0.58),
    "EMOCA": (0.78, 0.77, 0.31, 0.81, 0.69, 0.68, 0.30, 0.81, 0.68),
    "EMOCA with detail": (0.77, 0.76, 0.31, 0.81, 0.70, 0.69, 0.29, 0.83, 0.69),
}
"""Method -> a value for each of ``COLUMNS``."""

AFFECTNET_SPLIT = (
    "Published rows: the AffectNet test part that EmoNet's authors cleaned, 8 classes; EMOCA never published its list\n"
    "of pictures. EmoNet's own README, same part, mean over picture and mirror image: accuracy 0.75; valence CCC 0.82\n"
    "PCC 0.82 RMSE 0.29 SAGR 0.84; arousal CCC 0.75 PCC 0.75 RMSE 0.27 SAGR 0.80. On AffectNet's public validation\n"
    "part, 8 classes, a third party measured EmoNet at accuracy 0.52, valence CCC 0.57, arousal CCC 0.52 (emonet's\n"
    "issue 22). The row measured here compares only on the same pictures and classes."
)
AFEW_VA = "EMOCA's AFEW-VA table is in its paper (CVPR 2022) only; its clips were split at random; not repeated here."
NOW = (
    "Published beside it, NoW test, non-metric, mm (median, mean, std): DECA 1.09 1.38 1.18; RingNet 1.21 1.54\n"
    "1.31; 3DDFA-V2 1.23 1.57 1.39; Deng et al. 1.23 1.54 1.29. EMOCA's shape is DECA's, so its numbers are DECA's."
)


def beside_emotion(kind: str, measured: Sequence[tuple[str, str, float, tuple[float, float]]], where: str) -> str:
    """What was published for a data set of this kind, with the measured row below it; empty if nothing is known.

    Args:
        kind: of the data set, such as ``affectnet``.
        measured: rows of :func:`training.probe.measured`.
        where: the data set and split that were measured.
    """
    if kind == "afew-va":
        return AFEW_VA
    if kind != "affectnet":
        return ""
    found = {(label, name): value for label, name, value, _ in measured}
    names = [f"{label[0].upper()} {name}" for label, name in COLUMNS]
    lines = ["| method | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    lines += [_line(method, values) for method, values in EMOCA_AFFECTNET.items()]
    lines.append(_line(f"measured here: {where}", [found.get(column) for column in COLUMNS]))
    return "\n".join([*lines, "", AFFECTNET_SPLIT])


def _line(method: str, values: Sequence[float | None]) -> str:
    cells = ["–" if value is None else f"{value:.2f}" for value in values]
    return f"| {method} | " + " | ".join(cells) + " |"
