"""What only a GPU can show: bash scripts/gpu.sh runs these; elsewhere they are skipped.

Equal to the bit is promised for CPUs alone, so weights and logits are compared with a tolerance.
"""

import copy
import socket

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import nn

from inference import zoo
from inference.batches import forward
from inference.predict import Settings, load_runner
from inference.runner import Runner
from tests.training.engine.test_loop import batches, measured, train, weights
from training.classification.module import Classification
from training.data.batches import Batches
from training.datasets.sample.landscapes import landscape
from training.datasets.sample.problems import office_image, p1_image
from training.engine import devices, prefetch
from training.engine.ema import EMA
from training.engine.prefetch import Prefetcher
from training.engine.selection import LastEpoch

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here"),
]
CPU = torch.device("cpu")
NAMES = [record.name for record in zoo.records().values() if zoo.problem_of(record) is None]


def gpu():
    return torch.device("cuda", 0)


def pictures(record):
    """Return generated images of a record's problem, uint8 (N, S, S, 3)."""
    if record.task == "p3":
        return np.stack([landscape(1, i, "validation")[0] for i in range(4)])
    image, classes, count = (p1_image, 50, 200) if record.task == "p1" else (office_image, 65, 65)
    found = []
    for i in range(count):
        picture = torch.from_numpy(np.ascontiguousarray(image(0, "val", i % classes, i)))
        picture = picture.permute(2, 0, 1)[None].float()
        side = (record.size, record.size)
        picture = nn.functional.interpolate(picture, side, mode="bilinear", antialias=True)
        found.append(picture[0].permute(1, 2, 0).round().clamp(0, 255).byte().numpy())
    return np.stack(found)


def runner(record, where, precision="fp32", batch_size=32, **options):
    network = zoo.load(record)
    return Runner(network, record.mean, record.std, where, precision, batch_size, **options)


@pytest.fixture
def memory():
    """Limit what this process may have of the GPU's memory, in bytes; afterwards all again."""
    total = torch.cuda.get_device_properties(0).total_memory

    def limit(size):
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(min(1.0, size / total), 0)

    yield limit
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1.0, 0)


def needed(record, count):
    """Return the bytes that a batch of so many images needs, and those of the network alone."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    at_work = runner(record, gpu(), batch_size=count)
    alone = torch.cuda.memory_reserved()
    at_work(tiles(count))
    most = torch.cuda.max_memory_reserved()
    del at_work
    torch.cuda.empty_cache()
    return most, alone


def tiles(count):
    draw = np.random.default_rng(0)
    return draw.integers(0, 256, (count, 512, 512, 3), dtype=np.uint8)


# Prediction


def test_there_are_checkpoints_to_try():
    assert NAMES, "no file of the zoo is here: bash hw1_download.sh NAME"


@pytest.mark.parametrize("name", NAMES)
def test_fp32_answers_as_the_cpu_does(name):
    record = zoo.record(name)
    images = pictures(record)[:32]
    logits = [runner(record, where).logits(images).float().cpu() for where in (CPU, gpu())]
    scale = logits[0].abs().max()
    assert (logits[1] - logits[0]).abs().max() < 1e-3 * scale
    same = (logits[1].argmax(1) == logits[0].argmax(1)).float().mean()
    assert same > 0.999 if record.task == "p3" else same >= 31 / 32


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
@pytest.mark.parametrize("name", NAMES)
def test_fast_precisions_answer_as_fp32_does(name, precision):
    if precision == "bf16" and torch.cuda.get_device_capability()[0] < 8:
        pytest.skip("this GPU emulates bf16")
    record = zoo.record(name)
    images = pictures(record)
    exact, fast = (runner(record, gpu(), which)(images) for which in ("fp32", precision))
    same = (exact == fast).float().mean()
    if record.trained_on == "sample data":
        assert same > (0.998 if precision == "fp16" else 0.985)
    else:  # of generated pictures it is not sure
        assert same > (0.99 if precision == "fp16" else 0.95)


def test_a_batch_that_is_too_large_is_halved(memory, capsys):
    record = zoo.record("p3-lite")
    one, _ = needed(record, 1)
    eight, _ = needed(record, 8)
    assert one < eight
    expected = runner(record, gpu())(tiles(8)).cpu()
    at_work = runner(record, gpu(), batch_size=8)
    memory((one + eight) // 2)
    found = at_work(tiles(8)).cpu()
    assert at_work.batch_size < 8 and at_work.device.type == "cuda"
    assert "note: out of memory; trying batches of 4\n" in capsys.readouterr().err
    assert (found == expected).float().mean() > 0.9999


def test_without_memory_for_one_image_the_cpu_goes_on(memory, capsys):
    record = zoo.record("p3-lite")
    pixels = list(tiles(2))
    _, alone = needed(record, 1)
    at_work = runner(record, gpu(), batch_size=2, spare_cpu=True)
    memory(alone + (4 << 20))
    found = dict(forward(enumerate(pixels), at_work, record))
    assert at_work.device == CPU
    assert capsys.readouterr().err.endswith("note: out of memory; trying the CPU\n")
    expected = runner(record, CPU)(np.stack(pixels))
    for i, mask in found.items():
        assert (torch.from_numpy(mask) == expected[i]).float().mean() > 0.9999


def test_without_memory_for_the_network_the_cpu_takes_it(memory, capsys):
    memory(1 << 20)
    record = zoo.record("p2-c")
    at_work = runner(record, gpu(), spare_cpu=True)
    assert at_work.device == CPU
    assert capsys.readouterr().err == "note: out of memory; trying the CPU\n"


def test_what_is_chosen_here():
    at_work = load_runner(zoo.record(NAMES[0]), Settings())
    assert at_work.device.type == "cuda"


# Training


def test_batches_are_pinned():
    assert all(item.is_pinned() for item in next(iter(batches(True))))


@pytest.mark.parametrize("resident", [True, False])
def test_batches_on_the_gpu_are_those_of_the_cpu(monkeypatch, resident):
    """All of them, in order, whether they lie there or are copied while others are used."""
    if not resident:
        monkeypatch.setattr(prefetch, "RESIDENT", 0)
    draw = np.random.default_rng(0)
    arrays = draw.integers(0, 256, (5000, 16, 16, 3), dtype=np.uint8), np.arange(5000)
    some = draw.permutation(5000)[:3000]
    for shuffle in (True, False):
        plain = Batches(arrays, some, 128, shuffle=shuffle, seed=3)
        ahead = Prefetcher(Batches(arrays, some, 128, shuffle=shuffle, seed=3), gpu())
        for epoch in range(2):
            plain.epoch = ahead.batches.epoch = epoch
            count = 0
            for expected, found in zip(plain, ahead, strict=True):
                torch.cuda._sleep(1_000_000)  # the next copy must wait for this one's use
                for one, other in zip(expected, found, strict=True):
                    assert other.device == gpu() and torch.equal(other.cpu(), one)
                count += 1
            assert count == len(plain)
        assert (ahead.resident is not None) == resident


def near(one, other):
    return all(
        torch.allclose(one[key].float(), other[key].float(), rtol=0.02, atol=0.02) for key in one
    )


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_run_learns(tmp_path, precision):
    found = train(tmp_path, epochs=8, precision=precision)
    assert found.score > 0.9
    assert found.precision == {"fp32": "32-true", "bf16": "bf16-mixed"}[precision]
    assert all(value.device == CPU for value in weights(tmp_path).values())


def test_a_stopped_run_goes_on(tmp_path, monkeypatch):
    train(tmp_path / "whole")
    real, calls = Classification.loss, []

    def stopping(self, *batch):
        calls.append(1)
        if len(calls) == 8:
            raise KeyError("pulled plug")
        return real(self, *batch)

    monkeypatch.setattr(Classification, "loss", stopping)
    with pytest.raises(KeyError):
        train(tmp_path / "parts")
    monkeypatch.setattr(Classification, "loss", real)
    train(tmp_path / "parts")
    assert len(measured(tmp_path / "parts")) == 3
    assert near(weights(tmp_path / "whole"), weights(tmp_path / "parts"))


@pytest.mark.filterwarnings("ignore")  # the compiler's own
def test_a_compiled_network_learns_the_same(tmp_path):
    # Without dropout, whose masks the compiler draws otherwise, and without a choice of epochs.
    changes = {"arguments": {"widths": [4, 8], "depths": [1]}, "select_epoch_by": LastEpoch()}
    train(tmp_path / "plain", augment=(), **changes)
    train(tmp_path / "compiled", augment=(), compile=True, **changes)
    assert near(weights(tmp_path / "plain"), weights(tmp_path / "compiled"))


@pytest.fixture
def nccl():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = f"tcp://127.0.0.1:{port}"
    dist.init_process_group("nccl", place, rank=0, world_size=1, device_id=gpu())
    yield
    dist.destroy_process_group()


def test_nccl_with_one_process(nccl):
    """Synchronised BN, averaged gradients and buffers: of one process they are its own."""
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()).to(gpu())
    copied = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(plain))
    shared = nn.parallel.DistributedDataParallel(copied, device_ids=[0], broadcast_buffers=False)
    x = torch.randn(4, 3, 16, 16, device=gpu())
    for network in (plain, shared):
        network(x).square().mean().backward()
    for one, other in zip(plain.parameters(), copied.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-3, atol=1e-4)

    class Module:
        network = copied
        is_trained = staticmethod(lambda key: True)

    before = copied[1].running_mean.clone()
    devices.sync_bn_buffers(Module(), EMA(copied, 0.0), 1)
    assert torch.equal(copied[1].running_mean, before)
