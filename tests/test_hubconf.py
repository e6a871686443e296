"""The zoo as `torch.hub` sees it."""

import importlib.util
import shutil
from pathlib import Path

import pytest
import torch

from inference import UserError, zoo

ROOT = Path(__file__).resolve().parent.parent
HERE = {"source": "local", "verbose": False}


def hubconf(folder):
    spec = importlib.util.spec_from_file_location("hubconf", folder / "hubconf.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def clone(small_zoo, pristine, tmp_path):
    """A folder with hubconf.py, which finds the zoo of small networks."""
    shutil.copy(ROOT / "hubconf.py", tmp_path)
    return tmp_path


def test_every_checkpoint_has_an_entry_of_its_name():
    module = hubconf(ROOT)  # what torch.hub.list does
    names = {name for name in dir(module) if callable(getattr(module, name)) and name[0] != "_"}
    assert names == {name.replace("-", "_") for name in zoo.records()}


def test_an_entry_gives_the_checkpoints_network(clone, small_zoo):
    images = torch.rand(2, 3, 32, 32)
    for task, record in small_zoo.items():
        net = torch.hub.load(str(clone), f"{task}_small", **HERE)
        assert not net.training
        with torch.no_grad():
            found, wanted = net(images), zoo.load(record)(images)
        assert torch.equal(*((one["out"] if task == "p3" else one) for one in (found, wanted)))
    text = hubconf(clone).p1_small.__doc__  # what torch.hub.help shows
    assert "(N, 3, 32, 32)" in text and "[0.48, 0.45, 0.41]" in text and "50 classes" in text


def test_without_weights_it_is_to_be_trained(clone, small_zoo):
    net = torch.hub.load(str(clone), "p1_small", pretrained=False, **HERE)
    stored = zoo.load(small_zoo["p1"]).state_dict()
    assert net.training and net.state_dict().keys() == stored.keys()
    assert not torch.equal(net.state_dict()["fc.weight"], stored["fc.weight"])


def test_weights_that_are_missing_are_fetched_or_it_fails(repository, monkeypatch, capsys):
    monkeypatch.delenv("HW1_MIRROR", raising=False)
    monkeypatch.setattr(zoo, "ZOO", repository.zoo)
    shutil.copy(ROOT / "hubconf.py", repository.root)
    file = zoo.path(repository.records["p1"])
    elsewhere = repository.root.parent / "mirror"
    elsewhere.mkdir()
    file.rename(elsewhere / file.name)
    with pytest.raises(UserError, match=r"no right file for p1-small; .*set HW1_MIRROR"):
        torch.hub.load(str(repository.root), "p1_small", **HERE)
    monkeypatch.setenv("HW1_MIRROR", str(elsewhere))
    net = torch.hub.load(str(repository.root), "p1_small", **HERE)
    assert file.is_file() and net.fc.out_features == 50
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(UserError, match=r"is truncated: .* bash hw1_download.sh p1-small"):
        torch.hub.load(str(repository.root), "p1_small", **HERE)
    assert "fetched from" in capsys.readouterr().err


def test_an_unknown_name(clone):
    with pytest.raises(RuntimeError, match="Cannot find callable p1_b in hubconf"):
        torch.hub.load(str(clone), "p1_b", **HERE)
