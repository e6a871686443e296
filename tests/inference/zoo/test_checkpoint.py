"""Checkpoints: bare state_dicts, and what else people save."""

import numpy as np
import pytest
import torch

from inference import UserError, zoo
from inference.zoo import checkpoint


class Thing:
    """An object that no checkpoint should hold."""


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"", "is empty"),
        (b"not a checkpoint", "is not a checkpoint"),
        (b"PK\x03\x04 nor this", "is not a checkpoint"),
        (b"<!DOCTYPE html><html>Quota exceeded</html>", "is a web page"),
        ({}, "holds nothing"),
        ([1, 2], "holds a list"),
        ({"state_dict": {}, "epoch": 3}, "holds other things than tensors (state_dict, epoch)"),
        ({"a": torch.zeros(1), "score": 0.5}, "holds other things than tensors (score)"),
        ({"a": np.float64(0.5)}, "holds objects beside tensors (numpy"),
        ({"a": Thing()}, "holds objects beside tensors ("),
        (torch.nn.Linear(1, 1), "holds objects beside tensors (torch.nn.modules.linear.Linear)"),
    ],
    ids=[
        "empty",
        "text",
        "zip",
        "page",
        "none",
        "list",
        "wrapped",
        "number",
        "numpy",
        "object",
        "net",
    ],
)
def test_what_is_no_bare_state_dict_is_refused(tmp_path, content, reason):
    own = tmp_path / "own.pth"
    own.write_bytes(content) if isinstance(content, bytes) else torch.save(content, own)
    with pytest.raises(UserError) as raised, own.open("rb") as stream:
        checkpoint.state_dict(stream, own)
    text = str(raised.value)
    assert text.startswith(f"{own} {reason}") and "\n" not in text
    assert text.endswith("a checkpoint is a bare state_dict: torch.save(model.state_dict(), FILE)")


def test_an_older_torch_is_not_handed_weights_only(tmp_path, monkeypatch):
    file, state = tmp_path / "own.pth", {"a": torch.ones(2, dtype=torch.float16)}
    torch.save(state, file)
    current = torch.load

    def load_of_1_12(f, map_location=None, pickle_module=None, **pickle_load_args):
        assert not pickle_load_args
        return current(f, map_location=map_location, weights_only=True)

    monkeypatch.setattr(torch, "load", load_of_1_12)
    with file.open("rb") as stream:
        assert torch.equal(checkpoint.state_dict(stream, file)["a"], state["a"])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_weights_that_are_not_finite_are_refused(small_zoo, tmp_path, value, dtype):
    record = small_zoo["p1"]
    state = torch.load(zoo.path(record), weights_only=True)
    state = {key: v.to(dtype) if v.is_floating_point() else v for key, v in state.items()}
    torch.save(state, tmp_path / "whole.pth")
    assert zoo.load(record, tmp_path / "whole.pth")
    state["fc.weight"][3, 1] = value
    torch.save(state, tmp_path / "own.pth")
    with pytest.raises(UserError, match=r"own\.pth holds weights that are NaN .* \(fc\.weight\)"):
        zoo.load(record, tmp_path / "own.pth")


def test_a_double_too_large_for_fp32_is_infinite(small_zoo, tmp_path):
    state = torch.load(zoo.path(small_zoo["p1"]), weights_only=True)
    state["fc.bias"] = state["fc.bias"].double() + 1e300
    torch.save(state, tmp_path / "own.pth")
    with pytest.raises(UserError, match="NaN or infinite"):
        zoo.load(small_zoo["p1"], tmp_path / "own.pth")


def test_large_weights_are_finite(small_zoo, tmp_path):
    state = torch.load(zoo.path(small_zoo["p1"]), weights_only=True)
    state["fc.bias"][:] = 3e38
    torch.save(state, tmp_path / "own.pth")
    assert zoo.load(small_zoo["p1"], tmp_path / "own.pth").fc.bias[0] > 2e38


@pytest.mark.filterwarnings("ignore::UserWarning")  # torch's, on quantised tensors to come
@pytest.mark.parametrize(
    "change, reason",
    [
        (lambda v: v.to("meta"), "a tensor without values"),
        (lambda v: v.to_sparse(), "a sparse tensor"),
        (lambda v: v.to(torch.complex64), "complex numbers"),
        (lambda v: torch.quantize_per_tensor(v, 0.1, 0, torch.qint8), ""),
    ],
    ids=["meta", "sparse", "complex", "quantised"],
)
def test_tensors_that_fill_no_network(small_zoo, tmp_path, recwarn, change, reason):
    state = torch.load(zoo.path(small_zoo["p1"]), weights_only=True)
    state["fc.weight"] = change(state["fc.weight"].float())
    torch.save(state, tmp_path / "own.pth")
    recwarn.clear()
    with pytest.raises(UserError, match=r"own\.pth (holds|is not)") as raised:
        zoo.load(small_zoo["p1"], tmp_path / "own.pth")
    assert reason in str(raised.value) and "\n" not in str(raised.value)
    assert not recwarn.list


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int64, torch.bool])
@pytest.mark.parametrize("learned", [False, True])
def test_weights_of_whole_numbers(small_zoo, tmp_path, dtype, learned):
    state = torch.load(zoo.path(small_zoo["p1"]), weights_only=True)
    value = state["fc.weight"].to(dtype)
    state["fc.weight"] = torch.nn.Parameter(value, requires_grad=False) if learned else value
    torch.save(state, tmp_path / "own.pth")
    name = str(dtype).split(".")[-1]
    with pytest.raises(UserError, match=rf"1 of no floating type \(fc\.weight, {name}\)"):
        zoo.load(small_zoo["p1"], tmp_path / "own.pth")
