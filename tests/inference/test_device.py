import pytest
import torch

from inference import UserError, device, processor
from inference.device import choose_device, choose_precision
from inference.networks import fused

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)


@pytest.fixture
def machine(monkeypatch):
    """Make this machine another: a CPU with or without bf16, a GPU of some capability."""

    def machine(bf16=True, capability=(8, 6)):
        monkeypatch.setattr(processor, "is_fast_in_bf16", lambda: bf16)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _=None: capability)

    return machine


# Precision


def scores(fp32=0.9, images=2500, **fast):
    measured = {
        name.replace("_", "-"): dict(zip(("score", "agreement"), values))
        for name, values in fast.items()
    }
    return {"fp32": fp32, "images": images, "fast": measured}


@pytest.mark.parametrize(
    "recorded, expected",
    [
        (scores(cpu_bf16=(0.9, 1.0)), "bf16"),
        (scores(cpu_bf16=(0.901, 0.998)), "bf16"),  # both just so
        (scores(cpu_bf16=(0.899, 0.998)), "bf16"),
        (scores(cpu_bf16=(0.9, 0.9979)), "fp32"),  # too many labels differ
        (scores(cpu_bf16=(0.8989, 0.999)), "fp32"),  # the score moved too far,
        (scores(cpu_bf16=(0.9011, 0.999)), "fp32"),  # upwards too
        (scores(images=400, cpu_bf16=(0.8975, 0.998)), "bf16"),  # one image of 400
        (scores(images=400, cpu_bf16=(0.895, 0.998)), "fp32"),  # two
        (scores(cuda_fp16=(0.9, 1.0), cuda_bf16=(0.9, 1.0)), "fp32"),  # measured elsewhere
        (scores(), "fp32"),
        ({}, "fp32"),
        (None, "fp32"),
    ],
)
def test_a_cpu_is_fast_where_the_record_says_that_it_is_as_good(machine, recorded, expected):
    machine(bf16=True)
    assert choose_precision("auto", CPU, recorded) == expected
    machine(bf16=False)
    assert choose_precision("auto", CPU, recorded) == "fp32"


def test_a_pytorch_that_computes_otherwise_than_measured_stays_exact(machine, monkeypatch):
    machine(bf16=True)
    monkeypatch.setattr(fused, "is_available", lambda dtype: False)
    assert choose_precision("auto", CPU, scores(cpu_bf16=(0.9, 1.0))) == "fp32"
    assert choose_precision("bf16", CPU, None) == "bf16"


@pytest.mark.parametrize(
    "capability, recorded, expected",
    [
        ((7, 5), scores(cuda_fp16=(0.9, 1.0), cuda_bf16=(0.9, 1.0)), "fp16"),
        ((7, 5), scores(cuda_fp16=(0.9, 0.99), cuda_bf16=(0.9, 1.0)), "fp32"),  # bf16 is slow there
        ((8, 0), scores(cuda_fp16=(0.9, 0.99), cuda_bf16=(0.9, 1.0)), "bf16"),
        ((9, 0), scores(cuda_fp16=(0.9, 1.0), cuda_bf16=(0.9, 1.0)), "fp16"),  # the more exact
        ((9, 0), scores(cpu_bf16=(0.9, 1.0)), "fp32"),
    ],
)
def test_a_gpu_too(machine, capability, recorded, expected):
    machine(capability=capability)
    assert choose_precision("auto", CUDA, recorded) == expected


def test_bf16_is_for_gpus_that_have_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert choose_precision("bf16", CUDA, None) == "bf16"
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    with pytest.raises(UserError, match="this GPU has no bf16: use --precision fp16 or fp32"):
        choose_precision("bf16", CUDA, None)


def test_what_the_user_asks_for_is_done():
    assert choose_precision("fp32", CPU, scores(cpu_bf16=(0.9, 1.0))) == "fp32"
    assert choose_precision("bf16", CPU, None) == "bf16"
    assert choose_precision("fp16", CUDA, None) == "fp16"
    with pytest.raises(UserError, match=r"fp16 is far slower .* use --precision bf16 or fp32"):
        choose_precision("fp16", CPU, None)
    with pytest.raises(UserError, match="no bf16 on the device mps: use --precision fp32"):
        choose_precision("bf16", torch.device("mps"), None)


@pytest.mark.parametrize("native, fast", [(True, True), (True, False), (False, False)])
def test_a_precision_that_is_slower_is_measured_but_not_taken(monkeypatch, native, fast):
    monkeypatch.setattr(processor, "has_bf16", lambda: native)
    monkeypatch.setattr(processor, "is_fast_in_bf16", lambda: fast)
    assert device.native_precisions(CPU) == ["bf16"] * native
    assert device.fast_precisions(CPU) == ["bf16"] * fast
    taken = choose_precision("auto", CPU, scores(cpu_bf16=(0.9, 1.0)))
    assert taken == ("bf16" if fast and fused.is_available(torch.bfloat16) else "fp32")


# Device


def test_without_a_gpu_it_is_the_cpu(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == CPU
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["cuda:99", "banana", "", "meta", "cuda:x", "hpu", "vulkan"])
def test_a_device_that_is_not_there(name):
    with pytest.raises(UserError, match=f"^no device '{name}' here: .*; try --device cpu$"):
        choose_device(name)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: no kernel image is available\nCompile with TORCH_USE_CUDA_DSA"),
        AssertionError("Torch not compiled with CUDA enabled"),
    ],
)
def test_a_gpu_that_does_not_work(monkeypatch, capsys, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch, "zeros", fail)
    reason = str(error).splitlines()[0]
    assert choose_device("auto") == CPU
    assert capsys.readouterr().err == f"note: cuda:0 does not work ({reason}); using the CPU\n"
    with pytest.raises(UserError, match=f"no device 'cuda' here: {reason}; try --device cpu"):
        choose_device("cuda")


@pytest.mark.parametrize("local, gpus, expected", [("", 4, 0), ("3", 4, 3), ("3", 2, 1)])
def test_processes_on_one_host_share_its_gpus_out(monkeypatch, local, gpus, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(torch, "zeros", lambda *_, **__: torch.ones(1))
    if local:
        monkeypatch.setenv("LOCAL_RANK", local)
    else:
        monkeypatch.delenv("LOCAL_RANK", raising=False)
    assert choose_device("auto") == choose_device("cuda") == torch.device("cuda", expected)
    assert choose_device("cuda:1") == torch.device("cuda", 1)


# Allocator


class Glibc:
    """glibc's mallopt; until 2.34 it refused thresholds above 32 MB."""

    def __init__(self, highest):
        self.highest, self.set = highest, {}

    def mallopt(self, option, value):
        if option == -3 and value > self.highest:
            return 0
        self.set[option] = value
        return 1


@pytest.mark.parametrize("highest, expected", [(2**63, {-3: 1 << 30}), (1 << 25, {-4: 0})])
def test_memory_is_kept_with_any_glibc(monkeypatch, highest, expected):
    libc = Glibc(highest)
    monkeypatch.setattr(device.ctypes, "CDLL", lambda name: libc)
    device.tune_allocator()
    assert libc.set == {**expected, -1: 2**31 - 1}


@pytest.mark.parametrize("libc", [OSError, object])
def test_other_libraries_are_left_alone(monkeypatch, libc):
    def load(name):
        if libc is OSError:
            raise OSError(f"{name}: cannot open shared object file")
        return libc()

    monkeypatch.setattr(device.ctypes, "CDLL", load)
    device.tune_allocator()
