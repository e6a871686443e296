"""What the environment says of several processes, whole or in parts that were left over."""

import socket

import numpy as np
import pytest

from inference import UserError, sharding

MEETING = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}
OURS = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", *MEETING)


@pytest.fixture
def environment(monkeypatch):
    """Return a function that sets torchrun's variables and no other ones of them."""

    def set_only(**values):
        for name in OURS:
            monkeypatch.delenv(name, raising=False)
        for name, value in values.items():
            monkeypatch.setenv(name, str(value))

    return set_only


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"RANK": 1},
        {"RANK": 3, "WORLD_SIZE": 1, "LOCAL_RANK": 3, "LOCAL_WORLD_SIZE": 4},
        {"LOCAL_RANK": "x", "LOCAL_WORLD_SIZE": 2, **MEETING},
        {"SLURM_NTASKS": 2, "SLURM_PROCID": 1, "SLURM_JOB_ID": 1},
        {"OMPI_COMM_WORLD_SIZE": 2, "OMPI_COMM_WORLD_RANK": 1},
        {"PMI_SIZE": 2, "PMI_RANK": 1},
    ],
)
def test_a_process_that_torchrun_did_not_start_is_alone(environment, values):
    environment(**values)
    assert sharding.rank_and_world() == sharding.local_rank_and_world() == (0, 1)
    assert sharding.gather(np.arange(3), 3).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "values",
    [
        {"WORLD_SIZE": 2},
        {"WORLD_SIZE": 2, "RANK": 0},
        {"WORLD_SIZE": 2, "RANK": 2, **MEETING},
        {"WORLD_SIZE": "two", "RANK": 0, **MEETING},
        {"WORLD_SIZE": 0, "RANK": 0, **MEETING},
        {"WORLD_SIZE": 2, "RANK": 0, "MASTER_ADDR": "", "MASTER_PORT": "1"},
        {"WORLD_SIZE": 2, "RANK": 0, "MASTER_ADDR": "here", "MASTER_PORT": "port"},
        {"WORLD_SIZE": 2, "RANK": 0, "MASTER_ADDR": "here", "MASTER_PORT": "99999"},
    ],
)
def test_half_of_what_torchrun_says_is_an_error(environment, values):
    environment(**values)
    with pytest.raises(UserError, match=r"WORLD_SIZE is .*: start the processes with torchrun, or"):
        sharding.rank_and_world()


def test_processes_on_a_host(environment):
    whole = {"WORLD_SIZE": 4, "RANK": 3, **MEETING}
    environment(**whole, LOCAL_RANK=1, LOCAL_WORLD_SIZE=2)
    assert (sharding.rank_and_world(), sharding.local_rank_and_world()) == ((3, 4), (1, 2))
    environment(**whole)  # one a host, as Kubeflow starts them
    assert sharding.local_rank_and_world() == (0, 1)
    for local in (
        {"LOCAL_RANK": 2, "LOCAL_WORLD_SIZE": 2},
        {"LOCAL_RANK": 0, "LOCAL_WORLD_SIZE": 3},
        {"LOCAL_RANK": 0, "LOCAL_WORLD_SIZE": 0},
        {"LOCAL_RANK": "", "LOCAL_WORLD_SIZE": "x"},
    ):
        environment(**whole, **local)
        with pytest.raises(UserError, match="does not go with WORLD_SIZE 4: start"):
            sharding.local_rank_and_world()


def test_processes_that_cannot_meet(environment):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        environment(RANK=0, WORLD_SIZE=2, MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
        with pytest.raises(UserError, match=rf"2 processes do not meet at 127.0.0.1:{port} \("):
            sharding.gather(np.arange(3), 6)
