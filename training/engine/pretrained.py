"""Weights to start from: a file's, those that torchvision hosts, or a package's."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from inference import UserError
from inference.networks import check_state, head_prefixes
from inference.spelling import listed
from inference.zoo import checkpoint
from training.engine import lite_weights

# network -> what `pretrained=` may say -> torchvision's enum and entry, and for each prefix of
# its keys that is used the prefix that it has here
HOSTED = {
    "resnet50": {"imagenet": ("ResNet50_Weights.DEFAULT", {"": ""})},
    "resnext101_64x4d": {"imagenet": ("ResNeXt101_64X4D_Weights.DEFAULT", {"": ""})},
    "vgg16_fcn32": {
        "imagenet": (
            "VGG16_BN_Weights.DEFAULT",
            {
                "features.": "features.",
                "classifier.0.": "decoder.0.",
                "classifier.3.": "decoder.3.",
            },
        )
    },
    "deeplabv3_resnet50": {
        "imagenet": ("ResNet50_Weights.DEFAULT", {"": "backbone."}),
        "coco": ("DeepLabV3_ResNet50_Weights.DEFAULT", {"": ""}),
        "coco_trunk": ("DeepLabV3_ResNet50_Weights.DEFAULT", {"backbone.": "backbone."}),
    },
    "lraspp_mobilenet_v3_large": {
        "imagenet": ("MobileNet_V3_Large_Weights.DEFAULT", {"features.": "backbone."}),
        "coco": ("LRASPP_MobileNet_V3_Large_Weights.DEFAULT", {"": ""}),
    },
}
# The same for EfficientNet-Lite, whose weights are elsewhere: see engine/lite_weights.py
LITE = {
    **{name: (name, "") for name in lite_weights.HASHES},
    "lraspp_efficientnet_lite0": ("efficientnet_lite0", "backbone."),
}
WORDS = ("imagenet", "coco", "coco_trunk")


def start_from(network: nn.Module, name: str, pretrained: str) -> None:
    """Load weights to start from; a head that does not fit keeps its random start.

    Args:
        name: the network's, a key of `inference.networks.NETWORKS`.
        pretrained: none, imagenet, coco, coco_trunk (coco without the heads), or a file with a
            state dict of this network; empty where a recipe wants to be told.

    Raises:
        UserError: nothing is said; the file is missing, no checkpoint or another network's;
            there are no such weights of this network, or they cannot be downloaded.
    """
    if not pretrained:
        raise UserError(
            "this recipe starts from a backbone: add pretrained=FILE, a state dict of " + name
        )
    if pretrained == "none":
        return
    if pretrained in WORDS:
        given = _hosted(name, pretrained)
    else:
        given = lite_weights.with_timm_keys(_read(Path(pretrained), _known(name)))
    own = network.state_dict()
    # Files from before torch 0.4 lack BN's counters, which nothing here uses.
    heads = head_prefixes(network)
    spare = {k: v for k, v in own.items() if k.startswith(heads) or k.endswith("_tracked")}
    given = {**spare, **_fitting(given, own, heads)}
    check_state(name, own, given)
    network.load_state_dict(given)


def _fitting(
    given: Mapping[str, Tensor], own: Mapping[str, Tensor], heads: tuple[str, ...]
) -> dict[str, Tensor]:
    """Leave out what of the heads does not fit: a classifier `fc` as a whole, else a layer."""
    # A linear layer on a map of h x w is a convolution of that size (FCN, arXiv 1411.4038).
    given = dict(given)
    for key in given.keys() & own.keys():
        linear, wanted = given[key], own[key]
        if (linear.dim(), wanted.dim()) == (2, 4) and linear.shape == wanted.flatten(1).shape:
            given[key] = linear.reshape(wanted.shape)
    classifiers = [{k: v.shape for k, v in s.items() if k.startswith("fc.")} for s in (own, given)]

    def fits(key: str) -> bool:
        if key.startswith("fc."):
            return classifiers[0] == classifiers[1]
        return key in own and own[key].shape == given[key].shape

    return {key: given[key] for key in given if not key.startswith(heads) or fits(key)}


def _read(file: Path, words: Sequence[str]) -> dict[str, Tensor]:
    try:
        with file.open("rb") as stream:
            return checkpoint.state_dict(stream, file)
    except OSError as error:
        raise UserError(
            f"cannot read pretrained={file}: {error.strerror}; it is a file, or one of "
            f"{listed(str(file), words)}"
        ) from error


def _known(name: str) -> list[str]:
    """Return what `pretrained=` may say of a network, beside a file."""
    return ["none", *HOSTED.get(name, ["imagenet"] if name in LITE else [])]


def _hosted(name: str, word: str) -> dict[str, Tensor]:
    if word not in _known(name):
        known = ", ".join(_known(name))
        raise UserError(f"no {word} weights of {name}: pretrained= is one of {known}, or a file")
    what = f"{word} weights of {name}"
    if name in LITE:
        source, own = LITE[name]
        state = lite_weights.on_disk(source)
        if state is None:
            instead = f"{lite_weights.installation(source)}, or "
            state = _download(lite_weights.url(source), what, instead)
        prefixes = {"": own}
    else:
        from torchvision import models

        entry, prefixes = HOSTED[name][word]
        enum, _, member = entry.partition(".")
        kinds = vars(models) | vars(models.segmentation)
        state = _download(getattr(kinds[enum], member).url, what)
    return {
        own + key[len(theirs) :]: value
        for theirs, own in prefixes.items()
        for key, value in state.items()
        if key.startswith(theirs)
        # A network of pixels has no classifier of whole images.
        and not (own == "backbone." and key.startswith(("fc.", "classifier.")))
    }


def _download(url: str, what: str, instead: str = "") -> dict[str, Tensor]:
    """Return the state dict that a url holds, or the cache of torch.hub.

    `instead` of a download that fails the user may do something else: the beginning of a sentence.
    """
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    try:
        return torch.hub.load_state_dict_from_url(
            url, map_location="cpu", check_hash=True, progress=sys.stderr.isatty()
        )
    except Exception as error:  # no network, no room, a wrong hash, strange bytes
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        there = folder / url.rpartition("/")[2]
        if there.exists():  # a download that failed leaves nothing
            raise UserError(
                f"{there} is broken ({reason}): remove it, and it is downloaded anew"
            ) from error
        raise UserError(
            f"cannot fetch {what} ({reason}): {instead}download {url} elsewhere "
            f"and put it into {folder}"
        ) from error
