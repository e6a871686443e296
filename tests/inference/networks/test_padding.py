"""Padding in the order of memory: what torch's `pad` returns."""

import pytest
import torch
from torch.nn import functional

from inference.networks import padding


@pytest.mark.parametrize("columns, rows", [((1, 2), (0, 3)), ((0, 0), (0, 0)), ((2, 2), (1, 1))])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_it_is_torchs(columns, rows, dtype, layout, monkeypatch):
    empty = torch.empty
    monkeypatch.setattr(torch, "empty", lambda *a, **k: empty(*a, **k).fill_(float("nan")))
    images = torch.randn(2, 3, 5, 7).to(dtype).contiguous(memory_format=layout)
    found = padding.pad(images, columns, rows)
    assert torch.equal(found, functional.pad(images, (*columns, *rows)))
    assert found.is_contiguous(memory_format=torch.channels_last)
