"""Reading the pickles that CIFAR and mini-ImageNet come in.

A pickle is a program: whoever made the file says which functions reading it calls. A dataset is
fetched from wherever it is to be had, so the reader here knows the few things that an array is
made of, beside the lists, dicts, strings and numbers that need none, and refuses all others.
"""

import io
import pickle
from pathlib import Path

import numpy as np

from inference import UserError


def _dtype(name, align=False, copy=False) -> np.dtype:
    return np.dtype(name, bool(align), bool(copy))  # Python 2 wrote 0 and 1, which numpy deprecates


def _bytes(text, encoding) -> bytes:
    if encoding != "latin1":  # how Python 3 writes bytes that Python 2 can read
        raise pickle.UnpicklingError(f"it wants to encode as {encoding}, which is no part of data")
    return text.encode("latin1")


_ARRAYS = {
    "_reconstruct": np.empty(0).__reduce__()[0],
    "_frombuffer": np.empty(0).__reduce_ex__(5)[0],
    "ndarray": np.ndarray,
    "dtype": _dtype,
}
_HOMES = ("numpy",) + tuple(
    f"numpy.{core}.{part}" for core in ("core", "_core") for part in ("multiarray", "numeric")
)


class _Reader(pickle.Unpickler):
    def find_class(self, module, name):
        if module in _HOMES and name in _ARRAYS:
            return _ARRAYS[name]
        if (module, name) == ("_codecs", "encode"):
            return _bytes
        raise pickle.UnpicklingError(f"it wants to call {module}.{name}, which is no part of data")


def read(content: bytes, where: Path | str) -> dict:
    """Read a dict of arrays, lists, strings and numbers from a pickle; keys are bytes.

    Args:
        content: written by Python 2 or 3.
        where: what to call it in an error.

    Raises:
        UserError: it is damaged, holds anything else, or is no dict.
    """
    try:
        found = _Reader(io.BytesIO(content), encoding="bytes").load()
    except Exception as error:  # a damaged pickle raises whatever its bytes happen to mean
        why = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"cannot read {where}: {why}; fetch the dataset again") from None
    if not isinstance(found, dict):
        raise UserError(f"cannot read {where}: it holds no dict; is it the right file?")
    return {key.encode() if isinstance(key, str) else key: found[key] for key in found}
