"""Images that are segmented in windows: as if seen whole, without seams, in bounded memory."""

import gc

import numpy as np
import pytest
import torch
from torch.nn.functional import conv2d, interpolate, pad

from inference import UserError, windows
from inference.runner import Runner

RANDOM = np.random.default_rng(0)
FINE, COARSE = (torch.tensor(RANDOM.normal(size=(5, 3, k, k)), dtype=torch.float32) for k in (3, 1))


class Local(torch.nn.Module):
    """Looks 16 pixels far: at neighbours, and at the mean over its cell of a grid of 16."""

    def __init__(self, most=10**9):
        super().__init__()
        self.most, self.shapes = most, []

    def forward(self, images):
        height, width = images.shape[-2:]
        if height * width > self.most:
            raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB (GPU 0; ...")
        self.shapes.append((height, width))
        padded = pad(images, (0, -width % 16, 0, -height % 16))
        cells = interpolate(torch.nn.functional.avg_pool2d(padded, 16), scale_factor=16.0)
        coarse = conv2d(cells, 10 * COARSE)[..., :height, :width]
        return {"out": conv2d(images, FINE, padding=1) + coarse}


def runner(network, window=256, **options):
    runner = Runner(network, [0.5] * 3, [0.2] * 3, torch.device("cpu"), **options)
    runner.window = window
    return runner


def noise(height, width):
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)


# As if seen whole


@pytest.mark.parametrize("size", [(200, 200), (256, 560), (549, 270)])
@pytest.mark.parametrize("tta", [False, True])
def test_what_windows_see_enough_of_is_as_if_seen_whole(size, tta):
    image, sees = noise(*size), runner(Local(), tta=tta)
    if tta:  # a turned picture has its cells elsewhere, unless they divide it
        image = np.pad(image, [(0, -side % 16) for side in size] + [(0, 0)], mode="wrap")
    whole, blended = sees(image[None])[0].numpy(), windows.segment(image, sees)
    assert blended.shape == whole.shape and blended.dtype == np.uint8
    assert (blended != whole).mean() < 1e-5  # sums in another order
    assert len(np.unique(whole)) == 5


def test_bf16_is_blended_too():
    image, sees = noise(256, 400), runner(Local(), precision="bf16")
    sees.network.forward = lambda images: Local().forward(images.float())
    assert (windows.segment(image, sees) != sees(image[None])[0].numpy()).mean() < 1e-5


def test_what_lies_at_an_inner_border_has_no_say():
    class Blind(torch.nn.Module):
        """Sees nothing, class 2, closer than 16 pixels to a border, and class 1 else."""

        def forward(self, images):
            logits = torch.zeros(1, 3, *images.shape[-2:])
            logits[:, 2] = 1000
            logits[:, :, 16:-16, 16:-16] = torch.tensor([0, 1, 0]).reshape(3, 1, 1)
            return logits

    mask = windows.segment(noise(700, 300), runner(Blind()))
    expected = np.full((700, 300), 2)
    expected[16:-16, 16:-16] = 1
    assert np.array_equal(mask, expected)


# Without seams


class Level(torch.nn.Module):
    """Answers everywhere with the mean of what it sees, as one of 200 levels.

    For a level k of [0, 1] the logit is 2 k mean - k^2, so that the greatest is at the mean, and
    that of a weighted sum at the weighted mean.
    """

    def forward(self, images):
        levels = torch.linspace(0, 1, 200).reshape(1, -1, 1, 1)
        logits = 2 * levels * images.mean() - levels**2
        return logits.expand(-1, -1, *images.shape[-2:])


@pytest.mark.parametrize("turned", [False, True])
def test_from_window_to_window_there_is_no_step(turned):
    image = np.zeros((300, 900, 3), np.uint8)
    image[:, 450:] = 255
    image = image.transpose(1, 0, 2) if turned else image
    sees = Runner(Level(), [0.0] * 3, [1.0] * 3, torch.device("cpu"))
    sees.window = 256
    mask = windows.segment(image, sees).astype(int)
    along = (mask.T if turned else mask)[150]
    assert along[0] == 0 and along[-1] == 199
    steps = np.diff(along)
    assert 0 <= steps.min() and steps.max() <= 7  # a cut would jump by 60 or more
    across = np.diff(mask, axis=1 if turned else 0)
    assert np.abs(across).max() <= 1  # of nearly equal levels the first is the greatest


@pytest.mark.parametrize("window", [256, 512, 1024])
@pytest.mark.parametrize("length", [32, 255, 1025, 1056, 2501, 10_000])
def test_windows_cover_an_axis(length, window):
    spans, total = windows.spans(length, window), np.zeros(length)
    for span in spans:
        assert span.start % 32 == 0 and span.stop - span.start <= window
        total[span.start : span.stop] += span.weights
    assert np.abs(total - 1).max() < 1e-6
    assert (spans[0].start, spans[-1].stop) == (0, length)
    assert len(spans) == max(1, np.ceil((length - window) / (window * 3 / 4)) + 1)


# In bounded memory


def test_rows_are_finished_as_soon_as_no_window_reaches_them():
    network, image = Local(), noise(1500, 270)
    across, heights = len(windows.spans(270, 256)), []
    for number, (rows, _) in enumerate(windows.bands(image, runner(network)), start=1):
        assert len(network.shapes) == number * across
        heights.append(len(rows))
        held = [t for t in gc.get_objects() if type(t) is torch.Tensor and t.shape[:1] == (5,)]
        assert max(t.numel() for t in held) <= 5 * 256 * 270
    assert sum(heights) == 1500 and max(heights) <= 256 and len(heights) == 8
    assert max(network.shapes) == (256, 256)


def test_windows_too_large_for_memory_are_halved(capsys):
    image = noise(530, 600)
    whole = runner(Local())(image[None])[0].numpy()
    network = Local(most=300 * 300)
    sees = runner(network, window=1024)
    assert (windows.segment(image, sees) != whole).mean() < 1e-5
    assert max(network.shapes) == (256, 256) and sees.window == 256
    assert capsys.readouterr().err.splitlines() == [
        "note: out of memory; trying windows of 512 x 512",
        "note: out of memory; trying windows of 256 x 256",
    ]
    windows.segment(image, sees)
    assert capsys.readouterr().err == ""  # the smaller window is kept


def test_memory_too_small_for_any_window_is_a_users_error():
    with pytest.raises(UserError, match=r"^not memory enough on cpu for a window of 256 x 256"):
        windows.segment(noise(300, 300), runner(Local(most=99)))


def test_another_error_is_not_hidden():
    class Broken(torch.nn.Module):
        def forward(self, images):
            raise RuntimeError("size mismatch")

    with pytest.raises(RuntimeError, match="size mismatch"):
        windows.segment(noise(300, 300), runner(Broken()))
