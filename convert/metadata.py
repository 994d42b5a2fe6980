"""TFLite metadata inside the file (read by the standard metadata tools) and the same as JSON beside it.

The flatbuffer and the files packed behind it follow TensorFlow's metadata schema, through the writer that comes with
MediaPipe.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from convert.networks import Network
from convert.quiet import silent
from emoca_tf import __version__
from emoca_tf.capture.tflite import TFLiteModel
from emoca_tf.emotion.recognition import EXPRESSIONS

DESCRIPTION_FILE = "emoca_tf.json"
LICENCE = "Apache-2.0"
MEANING = {
    "exp": "expression coefficients",
    "eyelid": "left and right eyelid closure in 0..1",
    "jaw": "jaw rotation, axis-angle radians",
    "global": "head rotation, axis-angle radians",
    "cam": "weak perspective: scale, tx, ty; image = scale * (x + t)",
    "shape": "identity coefficients",
    "tex": "albedo coefficients",
    "light": "9 spherical-harmonics bands x RGB",
    "codes": "shape, tex, exp, pose, cam, light in this order",
    "vertices": "posed head, metres, x to the person's left, y up, z out of the face",
    "landmarks": "68 landmarks, 17 contour points first, metres",
    "landmarks_mp": "MediaPipe's landmarks, metres",
    "features": "emotion features",
    "expression": "logits of the expression classes",
    "valence": "valence, -1..1",
    "arousal": "arousal, -1..1",
    "displacement": "displacement along the normals in UV space, metres",
}
AXES = {
    "cam": ("scale", "tx", "ty"), "eyelid": ("left", "right"), "jaw": ("x", "y", "z"), "global": ("x", "y", "z"),
    "expression": EXPRESSIONS,
}  # fmt: skip


def describe(network: Network, model: TFLiteModel, recipe: str, weights: str, licence: str, extra: Mapping[str, Any]
             ) -> dict[str, Any]:  # fmt: skip
    """Everything an app must know to feed the file and read its outputs, as JSON-ready values."""

    def tensor(name: str, spec: tuple[tuple[int, ...], Any], meaning: str) -> dict[str, Any]:
        entry: dict[str, Any] = {"shape": list(spec[0]), "dtype": str(spec[1]), "meaning": meaning}
        axes = network.axes.get(name) or AXES.get(name)
        return entry | ({"axes": list(axes)} if axes else {})

    inputs = {n: tensor(n, s, network.inputs.get(n, n)) for n, s in model.inputs.items()}
    if "image" in inputs:
        inputs["image"] |= {"colour": "RGB", "range": [0.0, 1.0], "normalisation": {"mean": [0.0], "std": [255.0]}}
    return {
        "format": "emoca-tf model 1",
        "emoca_tf": __version__,
        "name": network.name,
        "signature": model.signature,
        "recipe": recipe,
        "weights": weights,
        "licence": licence,
        "inputs": inputs,
        "outputs": {n: tensor(n, s, MEANING.get(n, n)) for n, s in model.outputs.items()},
        **extra,
    }


def embed(content: bytes, description: Mapping[str, Any]) -> bytes:
    """The file with metadata: name, version, licence, tensors with their meaning, normalisation and axis names.

    Axis names are also packed as label files (one name a line) bound to their tensors, and the whole description as
    ``emoca_tf.json``.
    """
    with silent():
        from mediapipe.tasks.python.metadata import metadata as tools

    names = _tensor_order(content)
    files = {DESCRIPTION_FILE: json.dumps(description, indent=1).encode()}
    for output, tensor in description["outputs"].items():
        if "axes" in tensor:
            files[f"{output}.txt"] = ("\n".join(tensor["axes"]) + "\n").encode()
    populator = tools.MetadataPopulator.with_model_buffer(content)
    populator.load_metadata_buffer(_buffer(description, names, sorted(files)))
    populator.load_associated_file_buffers(files)
    populator.populate()
    return bytes(populator.get_model_buffer())


def read(content: bytes) -> dict[str, Any]:
    """The metadata of a file as the standard reader gives it, with the packed files' names.

    Raises:
        ValueError: the file has no metadata.
    """
    with silent():
        from mediapipe.tasks.python.metadata import metadata as tools
    displayer = tools.MetadataDisplayer.with_model_buffer(content)
    return {
        "metadata": json.loads(displayer.get_metadata_json()),
        "files": sorted(displayer.get_packed_associated_file_list()),
    }


def _tensor_order(content: bytes) -> tuple[list[str], list[str]]:
    """Names of inputs and outputs in the order of the subgraph's tensors, as the schema wants them."""
    interpreter = TFLiteModel(content).interpreter
    signature = next(iter(interpreter._get_full_signature_list().values()))

    def ordered(names: Mapping[str, int], details: list[dict[str, Any]]) -> list[str]:
        by_index = {index: name for name, index in names.items()}
        return [by_index[detail["index"]] for detail in details]

    return (ordered(signature["inputs"], interpreter.get_input_details()),
            ordered(signature["outputs"], interpreter.get_output_details()))  # fmt: skip


def _buffer(description: Mapping[str, Any], names: tuple[list[str], list[str]], files: list[str]) -> bytes:
    import flatbuffers
    from mediapipe.tasks.metadata import metadata_schema_py_generated as schema
    from mediapipe.tasks.python.metadata import metadata as tools

    def tensor(name: str, entry: Mapping[str, Any], is_input: bool) -> Any:
        t = schema.TensorMetadataT()
        t.name, t.description = name, entry["meaning"]
        if f"{name}.txt" in files and not is_input:
            t.associatedFiles = [packed(f"{name}.txt", schema.AssociatedFileType.TENSOR_AXIS_LABELS)]
        if name == "image":
            t.content = schema.ContentT()
            t.content.contentPropertiesType = schema.ContentProperties.ImageProperties
            t.content.contentProperties = schema.ImagePropertiesT()
            t.content.contentProperties.colorSpace = schema.ColorSpaceType.RGB
            unit = schema.ProcessUnitT()
            unit.optionsType = schema.ProcessUnitOptions.NormalizationOptions
            unit.options = schema.NormalizationOptionsT()
            unit.options.mean, unit.options.std = entry["normalisation"]["mean"], entry["normalisation"]["std"]
            t.processUnits = [unit]
            t.stats = schema.StatsT()
            t.stats.min, t.stats.max = [0.0], [1.0]
        return t

    def packed(name: str, kind: int) -> Any:
        file = schema.AssociatedFileT()
        file.name, file.type = name, kind
        return file

    graph = schema.SubGraphMetadataT()
    graph.inputTensorMetadata = [tensor(n, description["inputs"][n], True) for n in names[0]]
    graph.outputTensorMetadata = [tensor(n, description["outputs"][n], False) for n in names[1]]
    model = schema.ModelMetadataT()
    model.name, model.version = f"emoca-tf {description['name']}", description["emoca_tf"]
    model.description = f"{description['name']} network of emoca-tf, recipe {description['recipe']}"
    model.author, model.license = "emoca-tf", description["licence"]
    model.subgraphMetadata = [graph]
    model.associatedFiles = [packed(DESCRIPTION_FILE, schema.AssociatedFileType.DESCRIPTIONS)]
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), tools.MetadataPopulator.METADATA_FILE_IDENTIFIER)
    return bytes(builder.Output())
