"""1x1 convolutions that one thread of a CPU trains twice as fast, in fp32.

With one thread and fewer than 16 images torch leaves 1x1 convolutions to a matrix product of its
own in place of oneDNN's convolution. Of a dilated convolution it does not, and a kernel of one tap
has nothing to spread: the result is the same. A forward and a backward pass of 8 images (one thread
of a Zen 5, torch 2.14, tests on the other core), 112 to 672 channels of 16x16: 4.2 ms in place of
9.7; 960 to 160: 9.5 for 19.7.
"""

from __future__ import annotations

from torch import nn


def make_fast(layer: nn.Module) -> None:
    """Let oneDNN compute a 1x1 convolution: for `network.apply`."""
    if type(layer) is nn.Conv2d and layer.kernel_size == (1, 1) and not any(layer.padding):
        layer.dilation = (2, 2)
