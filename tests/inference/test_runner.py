import types

import numpy as np
import pytest
import torch

from inference import UserError
from inference.batches import forward
from inference.networks import build
from inference.runner import Runner

CPU = torch.device("cpu")
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
IMAGES = np.random.default_rng(0).integers(0, 256, (13, 8, 8, 3), dtype=np.uint8)
OUT_OF_MEMORY = [
    torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB (GPU 0; ..."),
    RuntimeError(
        "[enforce fail at alloc_cpu.cpp:114] . DefaultCPUAllocator: can't allocate memory"
    ),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("Unable to find a valid cuDNN algorithm to run convolution"),
    RuntimeError("GET was unable to find an engine to execute this computation"),
    MemoryError(),
]


class Small(torch.nn.Module):
    """Answers with the brightest of the top left pixel's channels; has little memory."""

    def __init__(self, memory=1000, error=None):
        super().__init__()
        self.memory, self.error, self.batches = memory, error, []

    def forward(self, images):
        if len(images) > self.memory:
            raise self.error
        self.batches.append(len(images))
        return images[:, :, 0, 0]


def runner(network, batch_size=32, **options):
    return Runner(network, [0.0] * 3, [1.0] * 3, CPU, batch_size=batch_size, **options)


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda error: str(error)[:12])
def test_a_batch_too_large_for_memory_is_halved(capsys, error):
    network = Small(3, error)
    classes = runner(network, 12)(IMAGES)
    assert network.batches == [3, 3, 3, 3, 1]
    assert classes.tolist() == IMAGES[:, 0, 0].argmax(1).tolist()
    assert capsys.readouterr().err.splitlines() == [
        "note: out of memory; trying batches of 6",
        "note: out of memory; trying batches of 3",
    ]


def test_the_smaller_batch_is_kept(capsys):
    network = Small(4, OUT_OF_MEMORY[0])
    limited = runner(network, 8)
    limited(IMAGES)
    capsys.readouterr()
    limited(IMAGES)
    assert capsys.readouterr().err == "" and network.batches == [4, 4, 4, 1] * 2


def test_memory_too_small_for_one_image_is_a_users_error():
    with pytest.raises(UserError, match=r"^not memory enough on cpu for one image: try"):
        runner(Small(0, OUT_OF_MEMORY[0]), 12)(IMAGES)


def test_memory_too_small_for_the_network_is_a_users_error():
    class Large(torch.nn.Module):
        def to(self, *_, **__):
            raise OUT_OF_MEMORY[0]

    with pytest.raises(UserError, match=r"^not memory enough on cpu for the network: try"):
        runner(Large())


@pytest.mark.parametrize("spare_cpu", [True, False])
def test_logits_of_many_images_are_made_in_parts_and_on_the_cpu_if_need_be(capsys, spare_cpu):
    class Elsewhere(Small):
        """Stands for a network on a full GPU, until it is moved to the CPU."""

        def to(self, *_, **__):
            self.memory = 4 if self.batches else 1000
            return self

    network = Elsewhere(error=OUT_OF_MEMORY[0])
    limited = runner(network, 8, spare_cpu=spare_cpu)
    expected = IMAGES[:, 0, 0] / np.float32(255)
    assert np.allclose(limited.logits_in_parts(IMAGES).numpy(), expected)
    assert network.batches == [8, 5] and capsys.readouterr().err == ""
    network.memory = 0
    if not spare_cpu:
        with pytest.raises(UserError, match=r"^not memory enough on cpu for one image: try"):
            limited.logits_in_parts(IMAGES)
        return
    found = limited.logits_in_parts(IMAGES)
    assert np.allclose(found.numpy(), expected) and found.dtype == torch.float32
    assert network.batches == [8, 5, 4, 4, 4, 1]
    tries = [*(f"batches of {n}" for n in (4, 2, 1)), "the CPU", "batches of 4"]
    said = capsys.readouterr().err.splitlines()
    assert said == [f"note: out of memory; trying {what}" for what in tries]


@pytest.mark.parametrize("at_once", [True, False])
def test_a_gpu_without_memory_leaves_the_work_to_the_cpu(capsys, at_once):
    places = []

    class Elsewhere(Small):
        """Stands for a network on a GPU that others have filled, until it is moved to the CPU."""

        def to(self, device, *_, **__):
            places.append(device.type)
            if len(places) == 1 and at_once:
                raise OUT_OF_MEMORY[0]
            self.memory = 4 if len(places) > 1 else 0
            return self

    limited = runner(Elsewhere(0, OUT_OF_MEMORY[0]), 8, spare_cpu=True)
    items = [(i, image) for i, image in enumerate(IMAGES)]
    record = types.SimpleNamespace(task="p1")
    found = [int(label) for _, label in forward(items, limited, record)]
    assert found == IMAGES[:, 0, 0].argmax(1).tolist()
    halved = [f"batches of {n}" for n in (4, 2, 1)]
    tries = [*([] if at_once else halved), "the CPU", "batches of 4"]
    said = capsys.readouterr().err.splitlines()
    assert said == [f"note: out of memory; trying {what}" for what in tries]
    with pytest.raises(UserError, match="not memory enough on cpu"):  # there is no other
        limited.network.memory = 0
        list(forward(items, limited, record))


def test_a_batch_has_no_more_pixels_than_one_image_may_have(monkeypatch):
    monkeypatch.setattr("inference.runner.LARGEST", 3 * 8 * 8 + 1)
    network = Small()
    assert len(runner(network)(IMAGES)) == 13 and network.batches == [3, 3, 3, 3, 1]
    monkeypatch.setattr("inference.runner.LARGEST", 1)
    assert len(runner(network)(IMAGES[:2])) == 2 and network.batches[5:] == [1, 1]


def test_another_error_is_not_hidden():
    with pytest.raises(RuntimeError, match="size mismatch"):
        runner(Small(0, RuntimeError("size mismatch")))(IMAGES)


def test_normalisation_is_torchvisions_bit_for_bit():
    transforms = pytest.importorskip("torchvision.transforms")
    steps = transforms.Compose([transforms.ToTensor(), transforms.Normalize(MEAN, STD)])
    seen = []

    class Look(torch.nn.Module):
        def forward(self, images):
            seen.append(images)
            return images[:, :, 0, 0]

    Runner(Look(), MEAN, STD, CPU)(IMAGES)
    assert torch.equal(seen[0], torch.stack([steps(image) for image in IMAGES]))


def test_averaging_over_a_classifiers_two_views():
    torch.manual_seed(0)
    network = build("convnet", 5, widths=[4, 4, 4, 4], depths=[0, 0, 0], scale=1.0).eval()
    plain, averaged = runner(network), runner(network, tta=True)
    mirrored = np.ascontiguousarray(IMAGES[:, :, ::-1])
    expected = plain.logits(IMAGES) + plain.logits(mirrored)
    assert torch.allclose(averaged.logits(IMAGES), expected, atol=1e-6)
    assert not torch.allclose(plain.logits(IMAGES), plain.logits(mirrored), atol=1e-3)


class Lopsided(torch.nn.Module):
    """A segmentation network to which every flip and rotation matters."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = torch.nn.Conv2d(3, 4, 5, padding=2)

    def forward(self, images):
        right = torch.linspace(0, 1, images.shape[-1])
        down = torch.linspace(0, 2, images.shape[-2])[:, None]
        return {"out": self.conv(images) + right + torch.sin(down)}


@pytest.mark.parametrize("shape", [(16, 16), (12, 20)])
def test_averaging_over_a_segmentation_networks_eight_views(shape):
    images = np.random.default_rng(1).integers(0, 256, (3, *shape, 3), dtype=np.uint8)
    plain, averaged = runner(Lopsided().eval()), runner(Lopsided().eval(), tta=True)
    views = []
    for turns in range(4):
        for mirrored in (False, True):
            view = np.rot90(images, turns, (1, 2))
            view = view[:, :, ::-1] if mirrored else view
            logits = plain.logits(np.ascontiguousarray(view)).numpy()
            logits = logits[..., ::-1] if mirrored else logits
            views.append(np.rot90(logits, -turns, (2, 3)))
    assert np.allclose(averaged.logits(images).numpy(), sum(views), atol=1e-5)
    assert all(np.abs(view - views[0]).max() > 0.1 for view in views[1:])
    classes = averaged(images)
    assert classes.shape == (3, *shape) and classes.dtype == torch.uint8


def test_views_are_added_up_in_fp32():
    class Half(torch.nn.Module):
        def forward(self, images):
            return images[:, :2].half()

    sees = runner(Half(), tta=True)
    assert sees.logits(IMAGES).dtype == torch.float32


def test_bf16_casts_the_network_and_its_input_but_not_its_last_layer():
    network = build("convnet", 5, widths=[4, 4, 4, 4], depths=[0, 0, 0], scale=1.0).eval()
    seen = []
    fast = runner(network, precision="bf16")
    fast.network.trunk.register_forward_pre_hook(lambda _, images: seen.append(images[0].dtype))
    assert fast.logits(IMAGES).dtype == torch.float32 and seen == [torch.bfloat16]
    assert fast(IMAGES).shape == (13,)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("precision, hint", [("fp32", "other --weights"), ("bf16", "fp32")])
def test_logits_that_are_not_finite_are_no_answer(value, precision, hint):
    class Overflowing(torch.nn.Module):
        def forward(self, images):
            logits = images[:, :, 0, 0].clone()
            logits[1:2, 1] = value
            return logits

    diverged = runner(Overflowing(), 4, precision=precision)
    with pytest.raises(UserError, match=f"logits are NaN or infinite in {precision}: .*{hint}"):
        diverged(IMAGES)


def test_large_logits_are_finite():
    class Large(torch.nn.Module):
        def forward(self, images):
            return images[:, :, 0, 0] * 1e36  # whose sum is too large for fp32

    assert runner(Large())(IMAGES).tolist() == IMAGES[:, 0, 0].argmax(1).tolist()
