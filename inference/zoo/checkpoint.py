"""From a checkpoint's file to a bare state_dict, or one line that says what it holds."""

from __future__ import annotations

import inspect
import re
import warnings
from pathlib import Path
from typing import BinaryIO

from inference import UserError

_HOW = "a checkpoint is a bare state_dict: torch.save(model.state_dict(), FILE)"


def state_dict(stream: BinaryIO, file: Path) -> dict:
    """Unpack a checkpoint on the CPU.

    Args:
        stream: the file, open at its beginning.
        file: its name, for messages.

    Returns:
        tensors by name, in the precision in which they were saved.

    Raises:
        UserError: it is no checkpoint, or it holds more than tensors.
    """
    import torch

    # Without weights_only a checkpoint may run any code; torch knows it since 1.13.
    known = inspect.signature(torch.load).parameters
    options = {"weights_only": True} if "weights_only" in known else {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's, on how the file was saved
            found = torch.load(stream, map_location="cpu", **options)
    except Exception as error:  # strange bytes make an unpickler raise nearly anything
        raise UserError(f"{file} {_reason(stream, error)}; {_HOW}") from None
    if not isinstance(found, dict):
        raise UserError(f"{file} holds a {type(found).__name__}; {_HOW}")
    strangers = [str(key) for key, value in found.items() if not torch.is_tensor(value)]
    if strangers or not found:
        listed = ", ".join(strangers[:5]) + (", ..." if len(strangers) > 5 else "")
        what = f"holds other things than tensors ({listed})" if found else "holds nothing"
        raise UserError(f"{file} {what}; {_HOW}")
    for key, tensor in found.items():
        odd = _oddity(tensor)
        if odd:
            raise UserError(f"{file} holds {odd} ({key}), and no plain numbers; {_HOW}")
    return found


def _oddity(tensor) -> str:
    """Return what a tensor is that no network can be filled with, or nothing."""
    import torch

    if tensor.is_meta:
        return "a tensor without values, of the meta device"
    if tensor.layout != torch.strided or getattr(tensor, "is_nested", False):
        return "a sparse tensor"
    if tensor.is_quantized:
        return "a quantised tensor"
    return "complex numbers" if tensor.is_complex() else ""


def expect_finite(tensors: dict, file: Path) -> None:
    """Raise a UserError where a weight is NaN or infinite: such a network answers class 0.

    Args:
        tensors: by name.
        file: where they are from, for the message.
    """
    wrong = [name for name, tensor in tensors.items() if not _is_finite(tensor)]
    if wrong:
        listed = wrong[0] + (f" and {len(wrong) - 1} others" if len(wrong) > 1 else "")
        raise UserError(
            f"{file} holds weights that are NaN or infinite ({listed}): its training diverged; "
            "take an earlier epoch, or train with a lower lr"
        )


def _is_finite(tensor) -> bool:
    import torch

    if not tensor.is_floating_point() or not tensor.numel():
        return True
    # A sum is not finite where any part is not, and reads 25 million weights in 10 ms. That of
    # large numbers may overflow; what then is true is looked up number by number.
    total = tensor.sum(dtype=torch.float32)
    return bool(torch.isfinite(total)) or bool(torch.isfinite(tensor).all())


def _reason(stream: BinaryIO, error: Exception) -> str:
    stream.seek(0)
    head = stream.read(512)
    if not head:
        return "is empty"
    if head.lstrip().lower().startswith((b"<!doctype", b"<html")):
        return "is a web page"
    # torch names what it refuses, as "GLOBAL numpy.core.multiarray.scalar was not ..." for example
    refused = re.search(r"(?:GLOBAL|Unsupported class) ([\w.]+)", str(error))
    if refused:
        return f"holds objects beside tensors ({refused.group(1)})"
    return f"is not a checkpoint ({type(error).__name__})"
