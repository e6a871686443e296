"""Every network that the project ships, by name.

Classifiers map images (N, 3, H, W) to logits (N, classes); `features(images)` gives (N, D), the
input of their last linear layer. Segmentation networks return {"out": logits (N, classes, H, W)}.

A network's class says where its head is, `HEAD` (prefixes of keys of the state dict), and, if it
has stages, which may be frozen or have rates of their own, the one that a key belongs to:
`stage_of(key)`, from 1.
"""

from __future__ import annotations

import inspect
from typing import Any, Callable, Mapping, Optional, Tuple

import torch
from torch import Tensor, nn

from inference import UserError
from inference.networks.convnet import ConvNet, ReportNet
from inference.networks.efficientnet_lite import (
    efficientnet_lite0,
    efficientnet_lite1,
    efficientnet_lite2,
)
from inference.networks.resnet import Bottleneck, resnet50, resnext101_64x4d
from inference.networks.segmentation import (
    deeplabv3_resnet50,
    lraspp_efficientnet_lite0,
    lraspp_mobilenet_v3_large,
    vgg16_fcn32,
)
from inference.spelling import listed

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "convnet": ConvNet,
    "report_cnn": ReportNet,
    "resnet50": resnet50,
    "resnext101_64x4d": resnext101_64x4d,
    "efficientnet_lite0": efficientnet_lite0,
    "efficientnet_lite1": efficientnet_lite1,
    "efficientnet_lite2": efficientnet_lite2,
    "vgg16_fcn32": vgg16_fcn32,
    "deeplabv3_resnet50": deeplabv3_resnet50,
    "lraspp_mobilenet_v3_large": lraspp_mobilenet_v3_large,
    "lraspp_efficientnet_lite0": lraspp_efficientnet_lite0,
}
INITIALISED = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm1d, nn.BatchNorm2d)


def build(name: str, classes: int, /, **arguments: Any) -> nn.Module:
    """Build a network with PyTorch's default initialisation, in train mode.

    Args:
        name: A key of `NETWORKS`.
        classes: Number of logits an image, or a pixel.
        **arguments: What the network takes besides; lists will do for tuples, as in JSON.

    Raises:
        UserError: For an unknown name, an unknown argument or a value that cannot be.
    """
    if name not in NETWORKS:
        raise UserError(f"no network {name!r}; there are: {listed(str(name), NETWORKS)}")
    known = [key for key in inspect.signature(NETWORKS[name]).parameters if key != "classes"]
    for key in arguments:
        if key not in known:
            takes = listed(key, known) or "no arguments"
            raise UserError(f"network {name!r} has no argument {key!r}; it takes: {takes}")
    if not isinstance(classes, int) or classes < 1:
        raise UserError(f"network {name!r}: classes is {classes!r}, not a whole number from 1 up")
    try:
        return NETWORKS[name](classes, **arguments)
    except (TypeError, ValueError, RuntimeError, ArithmeticError) as error:
        given = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        reason = str(error).split("\n")[0]
        raise UserError(f"network {name!r} cannot be built with {given}: {reason}") from error


def head_prefixes(network: nn.Module) -> Tuple[str, ...]:
    """Return the prefixes of the keys of a network's head: what new classes need anew."""
    return getattr(network, "HEAD", ())


def stage_of(network: nn.Module, key: str) -> Optional[int]:
    """Return the stage of a key of the state dict, from 1; None where it is in none."""
    known = getattr(network, "stage_of", None)
    return known(key) if known else None


def load_into(
    name: str, classes: int, arguments: Mapping[str, Any], state_dict: Mapping[str, Tensor]
) -> nn.Module:
    """Build a network from stored weights, strictly: fp32, CPU, eval mode.

    Args:
        name: A key of `NETWORKS`.
        classes: Number of logits an image, or a pixel.
        arguments: What the network takes besides.
        state_dict: Every weight and buffer by key, in any floating type. The network may share
            memory with tensors that already are fp32.

    Raises:
        UserError: As `build` does, and when keys or shapes are not the network's own.
    """
    # Random numbers for 25-84 M weights that are overwritten at once would cost 0.2-0.7 s.
    # Tensors on the meta device have shapes and no values; adopting the stored tensors in their
    # place exists from torch 2.1.
    adopt = "assign" in inspect.signature(nn.Module.load_state_dict).parameters
    if adopt:
        with torch.device("meta"):
            network = build(name, classes, **arguments)
    else:
        network = build(name, classes, **arguments)
    check_state(name, network.state_dict(), state_dict)
    state = {
        key: value.detach().to("cpu", torch.float32 if value.is_floating_point() else value.dtype)
        for key, value in state_dict.items()
    }
    network.load_state_dict(state, **({"assign": True} if adopt else {}))
    return network.eval()


def check_state(name: str, wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> None:
    """Compare keys, shapes and kinds of numbers: weights are no whole numbers.

    Raises:
        UserError: In one line, which counts the keys that are missing, unexpected, of another
            shape or of whole numbers, and names the first of each.
    """
    missing = [key for key in wanted if key not in given]
    unexpected = [key for key in given if key not in wanted]
    misshapen = [
        f"{key} {tuple(given[key].shape)}, not {tuple(wanted[key].shape)}"
        for key in wanted
        if key in given and given[key].shape != wanted[key].shape
    ]
    whole = [
        f"{key}, {str(given[key].dtype).split('.')[-1]}"
        for key in wanted
        if key in given and wanted[key].is_floating_point() and not given[key].is_floating_point()
    ]
    faults = {"missing": missing, "unexpected": unexpected, "of another shape": misshapen}
    faults["of no floating type"] = whole
    found = [f"{len(keys)} {fault} ({keys[0]})" for fault, keys in faults.items() if keys]
    if found:
        raise UserError(
            f"the weights do not fit network {name!r}: of {len(wanted)} keys {'; '.join(found)}"
        )


def initialise(network: nn.Module, zero_residual: bool = False) -> nn.Module:
    """Draw starting weights in place, for training from scratch.

    Convolutions: normal, variance 2 / fan-out (He, arXiv 1502.01852); linear layers, and 1x1
    convolutions with a bias, which are linear for each pixel (logits and gates): normal, sd .01;
    BN: 1 and 0, and a momentum of .1, since MobileNet's .01 is for hundreds of thousands of steps:
    after a few hundred its statistics have not arrived; every bias 0.

    Args:
        network: Any network of this package.
        zero_residual: Start each residual branch of ResNet and ResNeXt at zero, by the scale of
            its last BN (arXiv 1706.02677).

    Returns:
        The same network.
    """
    for module in network.modules():
        if not isinstance(module, INITIALISED):
            continue
        if isinstance(module, nn.Linear) or _is_linear(module):
            nn.init.normal_(module.weight, 0, 0.01)
        elif isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        else:
            nn.init.ones_(module.weight)
            module.momentum = 0.1
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    if zero_residual:
        for module in network.modules():
            if isinstance(module, Bottleneck):
                nn.init.zeros_(module.bn3.weight)
    return network


def _is_linear(module: nn.Module) -> bool:
    """Whether it is a 1x1 convolution with a bias: by fan-out, 7 classes would start at tens."""
    is_1x1 = isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1)
    return is_1x1 and module.bias is not None
