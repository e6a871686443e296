"""Pickles as Python 2 wrote them, which is what the datasets come in."""

import io
import pickle
import struct


class Python2(pickle._Pickler):
    """Writes byte strings as Python 2 wrote its strings, which is what CIFAR's files hold."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_bytes(self, value):
        self.write(b"T" + struct.pack("<i", len(value)) + value)
        self.memoize(value)

    dispatch[bytes] = save_bytes


def python2(value):
    content = io.BytesIO()
    Python2(content, protocol=2).dump(value)
    return content.getvalue().replace(b"numpy._core", b"numpy.core")
