"""Two processes that pre-train together, over gloo on the CPU."""

import pytest
import torch

from tests.training.engine.test_distributed import together

MODULE = "tests.training.byol.distributed"


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """Return what one process left, and what each of two did."""
    found = {}
    for world in (1, 2):
        out = tmp_path_factory.mktemp(f"world{world}")
        statuses, logs = together(MODULE, out, cwd=out, world=world)
        assert statuses == [0] * world, logs
        found[world] = [torch.load(out / f"{rank}.pt") for rank in range(world)]
    return found


def test_two_processes_take_the_steps_of_one_and_move_one_target(left):
    (one,), (first, second) = left[1], left[2]
    assert {"network.predictor.3.weight", "target.projector.3.weight"} <= one["state"].keys()
    for key, value in one["state"].items():
        assert torch.equal(first["state"][key], second["state"][key]), key
        assert torch.allclose(first["state"][key], value, atol=1e-6), key


def test_processes_draw_differently_and_measure_the_same(left):
    (one,), both = left[1], left[2]
    draws = [draw for process in both for draw in process["draws"]]
    assert len(set(draws)) == len(draws) == 2 * 10
    assert both[0]["knn"] == both[1]["knn"] == one["knn"] > 0.5


def test_the_statistics_that_are_exported_are_the_same_in_both_processes(tmp_path):
    statuses, logs = together(MODULE, tmp_path, "bn", cwd=tmp_path, world=2)
    assert statuses == [0, 0], logs
    one, other = (torch.load(tmp_path / f"{rank}.pt")["state"] for rank in range(2))
    assert all(torch.equal(one[key], other[key]) for key in one)
