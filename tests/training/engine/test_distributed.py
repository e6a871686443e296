"""Two processes that train together, as torchrun starts them, over gloo on the CPU."""

import csv
import json
import socket

import pytest
import torch

from tests.training.engine.started import run, start


def together(module, *arguments, cwd, world):
    """Run a command in `world` processes; return their exit statuses and what they wrote."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    processes = []
    for rank in range(world):
        environment = {
            **{name: str(rank) for name in ("RANK", "LOCAL_RANK")},
            **{name: str(world) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE")},
            **{"GROUP_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port},
            "TORCHELASTIC_RUN_ID": "test",
        }
        environment = environment if world > 1 else {}
        processes.append(start(module, *arguments, cwd=cwd, environment=environment))
    for process in processes:
        process.join(120)
    logs = [(cwd / f"{process.pid}.log").read_text() for process in processes]
    return [process.exitcode for process in processes], logs


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """Return what one process left, and what each of two did, with their folders."""
    found = {}
    for world in (1, 2):
        out = tmp_path_factory.mktemp(f"world{world}")
        statuses, logs = together("tests.training.engine.distributed", out, cwd=out, world=world)
        assert statuses == [0] * world, logs
        found[world] = out, [torch.load(out / f"{rank}.pt") for rank in range(world)]
    return found


def test_two_processes_take_the_steps_of_one(left):
    (_, (one,)), (_, (first, second)) = left[1], left[2]
    for key, value in one["state"].items():
        assert torch.equal(first["state"][key], second["state"][key]), key
        assert torch.allclose(first["state"][key], value, atol=1e-6), key
    for key, value in one["average"].items():
        assert torch.allclose(first["average"][key], value, atol=1e-6), key
    losses = []
    for out, _ in left.values():
        with (out / "run" / "metrics.csv").open() as text:
            losses.append([float(row["loss"]) for row in csv.DictReader(text)])
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)
    assert losses[0][0] != losses[0][1]


def test_each_held_out_image_is_measured_once_and_the_score_is_of_all(left):
    (_, (one,)), (_, both) = left[1], left[2]
    assert one["images"] == sum(process["images"] for process in both) == 2 * 40
    assert all(process["images"] < 80 for process in both)
    assert both[0]["score"] == both[1]["score"] == pytest.approx(one["score"])


def test_processes_and_steps_draw_differently(left):
    draws = [draw for process in left[2][1] for draw in process["draws"]]
    assert len(set(draws)) == len(draws) == 2 * 10


def test_statistics_of_bn_are_the_same_in_both_processes(tmp_path):
    statuses, logs = together(
        "tests.training.engine.distributed", tmp_path, "bn", cwd=tmp_path, world=2
    )
    assert statuses == [0, 0], logs
    one, other = (torch.load(tmp_path / f"{rank}.pt")["state"] for rank in range(2))
    assert one["network.trunk.1.running_mean"].abs().max() > 0.01
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_the_command_in_two_processes_ends_in_one_result(tmp_path, draw):
    for part, count in (("train_50", 8), ("val_50", 2)):
        for i in range(3 * count):
            draw(tmp_path / "p1_data" / part / f"{i % 3}_{i}.png")
    (tmp_path / "p1_data" / "DATA.json").write_text('{"source": "a dataset"}')
    fields = ["classes=3", "epochs=2", "batch_size=4", "precision=fp32"]
    fields.append('arguments={"widths": [4, 8], "depths": [1]}')
    command = ("training", "fit", "p1-a", "--data", "p1_data", *fields)
    statuses, logs = together(*command, "--out", "run", cwd=tmp_path, world=2)
    assert statuses == [0, 0], logs
    assert len(logs[0].splitlines()) == 3 and logs[1] == ""
    assert "on 6 validation images of a dataset; run" in logs[0]
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["provenance"] == "a dataset"
    assert result["processes"] == 2 and result["scores"]["images"] == 6
    assert result["command"].startswith("torchrun --nproc-per-node=2 -m training fit p1-a")


def test_hosts_that_go_on_from_different_epochs_are_stopped(tmp_path):
    statuses, logs = together("tests.training.engine.distributed", tmp_path, cwd=tmp_path, world=2)
    assert statuses == [0, 0], logs
    statuses, logs = together(
        "tests.training.engine.distributed", tmp_path, "apart", cwd=tmp_path, world=2
    )
    assert statuses == [1, 1]
    for done, log in zip((2, 0), logs):
        assert f"{done} epochs are done here, and not as many on every host: " in log


def test_a_batch_that_cannot_be_divided_is_refused(tmp_path, draw):
    for i in range(12):
        draw(tmp_path / "p1_data" / "train_50" / f"{i % 3}_{i}.png")
    command = ["training", "fit", "p1-a", "--data", "p1_data", "classes=3", "batch_size=4"]
    command += ["select_epoch_by=HeldOut(0.3)"]
    world = {"RANK": "0", "WORLD_SIZE": "3", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
    status, log = run(*command, cwd=tmp_path, **world)
    assert status == 2 and log == "error: batch_size=4 cannot be divided among 3 processes\n"


@pytest.mark.parametrize(
    "job",
    [
        {"SLURM_JOB_ID": "1", "SLURM_JOB_NAME": "train", "SLURM_NTASKS": "2", "SLURM_NNODES": "1"},
        {"SLURM_JOB_ID": "1", "SLURM_NTASKS_PER_NODE": "2", "SLURM_NTASKS": "2"},
        {"LSB_JOBID": "1", "LSB_DJOB_RANKFILE": "x", "JSM_NAMESPACE_LOCAL_RANK": "1"},
        {"RANK": "1", "LOCAL_RANK": "1", "GROUP_RANK": "x", "TORCHELASTIC_RUN_ID": "stale"},
    ],
)
def test_one_process_of_a_batch_job_trains_alone(tmp_path, draw, job):
    if "SLURM_JOB_ID" in job:
        job |= {"SLURM_PROCID": "1", "SLURM_LOCALID": "1", "SLURM_NODEID": "0"}
    if "LSB_JOBID" in job:
        job |= {"JSM_NAMESPACE_SIZE": "2", "JSM_NAMESPACE_RANK": "1"}
    for part, count in (("train_50", 4), ("val_50", 2)):
        for i in range(3 * count):
            draw(tmp_path / "p1_data" / part / f"{i % 3}_{i}.png")
    fields = ["classes=3", "epochs=1", "batch_size=4", "precision=fp32"]
    fields.append('arguments={"widths": [4, 8], "depths": [1]}')
    command = ("training", "fit", "p1-a", "--data", "p1_data", *fields, "--out", "run")
    status, log = run(*command, cwd=tmp_path, **job)
    assert status == 0, log
    assert len(log.splitlines()) == 2
    assert json.loads((tmp_path / "run" / "result.json").read_text())["processes"] == 1
