"""What a pixel takes from its neighbours: blur and sharpness."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from training.augment.draws import change, chosen_few, uniform


def blur(images: Tensor, kernel: int, p: float = 1.0) -> Tensor:
    """Blur images with a Gaussian, whose sigma in pixels is uniform in [0.1, 2].

    Args:
        kernel: its extent in pixels, odd; at most twice the image's side less one. BYOL takes a
            tenth of the side (arXiv 2006.07733, appendix B).
    """
    pick = chosen_few(images, p)
    sigmas = uniform(images, 0.1, 2.0)
    return change(images, pick, lambda x, s: gaussian(x, kernel, s), sigmas)


def gaussian(images: Tensor, kernel: int, sigma: Tensor) -> Tensor:
    """Blur images by sigmas (N, 1, 1, 1), in pixels; edges are reflected, as in torchvision."""
    n, channels, height, width = images.shape
    taps = torch.arange(kernel, device=images.device) - kernel // 2
    weights = torch.softmax(-((taps / sigma.view(n, 1)) ** 2) / 2, dim=1)
    weights = weights.repeat_interleave(channels, 0)  # a group of the convolution is one plane
    planes = F.pad(images.contiguous(), (kernel // 2,) * 4, mode="reflect")
    planes = planes.reshape(1, n * channels, *planes.shape[2:])
    planes = F.conv2d(planes, weights[:, None, None, :], groups=n * channels)
    planes = F.conv2d(planes, weights[:, None, :, None], groups=n * channels)
    return planes.view(n, channels, height, width).clamp_(0, 1)


def sharpen(images: Tensor, factor: Tensor) -> Tensor:
    """Blend images with their smoothed selves, as Pillow's Sharpness does; the edge stays.

    Args:
        factor: (N, 1, 1, 1): 0 is smooth, 1 the image, beyond it sharper.
    """
    if min(images.shape[-2:]) <= 2:
        return images
    inner = images[..., 1:-1, 1:-1]
    # Pillow's SMOOTH: 3x3 ones with 5 in the middle
    smooth = (F.avg_pool2d(images, 3, 1) * 9).add_(inner, alpha=4).div_(13)
    sharp = images.clone()
    sharp[..., 1:-1, 1:-1] = torch.lerp(smooth, inner, factor).clamp_(0, 1)
    return sharp
