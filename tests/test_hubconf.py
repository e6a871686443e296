"""The zoo as `torch.hub` sees it."""

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from inference import zoo

ROOT = Path(__file__).resolve().parent.parent
HERE = {"source": "local", "verbose": False}


def hubconf(folder):
    spec = importlib.util.spec_from_file_location("hubconf", folder / "hubconf.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def clone(small_zoo, repository):
    """A clone of small networks with a hubconf.py, beside the one that the tests have imported."""
    shutil.copy(ROOT / "hubconf.py", repository.root)
    return repository.root


def error(match):
    """Expect a clone's own UserError, which is not that of the clone that the tests import."""
    return pytest.raises(Exception, match=rf"(?s)^{match}")


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
    shutil.copy(ROOT / "hubconf.py", repository.root)
    file = zoo.path(repository.records["p1"])
    elsewhere = repository.root.parent / "mirror"
    elsewhere.mkdir()
    file.rename(elsewhere / file.name)
    with error(r"no right file for p1-small; .*set HW1_MIRROR"):
        torch.hub.load(str(repository.root), "p1_small", **HERE)
    monkeypatch.setenv("HW1_MIRROR", str(elsewhere))
    net = torch.hub.load(str(repository.root), "p1_small", **HERE)
    assert file.is_file() and net.fc.out_features == 50
    file.write_bytes(file.read_bytes()[:-9])
    with error(r".*is truncated: .* bash hw1_download.sh p1-small"):
        torch.hub.load(str(repository.root), "p1_small", **HERE)
    assert "fetched from" in capsys.readouterr().err


def test_an_unknown_name(clone):
    with pytest.raises(RuntimeError, match="Cannot find callable p1_b in hubconf"):
        torch.hub.load(str(clone), "p1_b", **HERE)


def test_names_that_torch_hub_cannot_tell_apart_or_has_itself(clone):
    content = json.loads((clone / "inference" / "zoo.json").read_text())
    p1, p2 = (content["checkpoints"][name] for name in ("p1-small", "p2-small"))
    content["checkpoints"].update({"p1_small": p2, "dependencies": p1, "-x": p1, "v1.2 b": p2})
    (clone / "inference" / "zoo.json").write_text(json.dumps(content))
    with error(r"p1-small and p1_small have one name in torch.hub: rename one in zoo.json"):
        torch.hub.load(str(clone), "p1_small", **HERE)
    assert torch.hub.load(str(clone), "v1.2 b", **HERE).fc.out_features == 65
    module = hubconf(clone)
    names = {name for name in dir(module) if callable(getattr(module, name)) and name[0] != "_"}
    assert names == {"p1_small", "p2_small", "p3_small", "v1.2 b"}
    assert module.dependencies == ["torch", "numpy", "PIL"]


PROGRAM = """
import sys, torch
def ones(folder):
    net = torch.hub.load(folder, "p1_small", source="local", verbose=False)
    assert net(torch.zeros(1, 3, 32, 32)).shape == (1, 50)
    return net.fc.bias[0].item()
"""


def run(program, *folders):
    command = [sys.executable, "-W", "error", "-c", PROGRAM + program, *map(str, folders)]
    options = {"cwd": folders[0], "capture_output": True, "text": True, "timeout": 120}
    done = subprocess.run(command, env={"PATH": "", "OMP_NUM_THREADS": "1"}, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture
def two(clone, tmp_path):
    """Two clones of other weights, and a folder with somebody else's `inference`."""
    other = tmp_path / "other"
    shutil.copytree(clone, other)
    for folder, value in ((clone, 1.0), (other, 2.0)):
        weights = folder / "weights" / "p1-small.pth"
        state = torch.load(weights, weights_only=True)
        state["fc.bias"].fill_(value)
        torch.save(state, weights)
        file = folder / "inference" / "zoo.json"
        content = json.loads(file.read_text())
        there = {"bytes": weights.stat().st_size, "sha256": zoo.sha256(weights)}
        content["checkpoints"]["p1-small"].update(there)
        file.write_text(json.dumps(content))
    (tmp_path / "theirs" / "inference").mkdir(parents=True)
    (tmp_path / "theirs" / "inference" / "__init__.py").write_text("import inference.zoo\n")
    (tmp_path / "theirs" / "inference" / "zoo.py").write_text("mine = 'theirs'\n")
    return clone, other, tmp_path / "theirs"


def test_each_of_two_clones_in_a_process_gives_its_own(two):
    first, second, theirs = two
    found = run("print(*(ones(folder) for folder in sys.argv[2:]))", theirs, first, second, first)
    assert found == ["1.0", "2.0", "1.0"]
    program = "print(ones(sys.argv[1]), ones(sys.argv[2])); import inference, pickle\n"
    program += "net = torch.hub.load(sys.argv[1], 'p1_small', source='local', verbose=False)\n"
    program += "print(inference.__file__, len(pickle.dumps(net)) > 1000)"
    assert run(program, first, second) == [
        *("1.0", "2.0", str(first / "inference" / "__init__.py"), "True")
    ]


@pytest.mark.parametrize("before", ["", "import inference\n"])
def test_beside_another_package_of_that_name(two, before):
    first, second, theirs = two
    program = before + "print(ones(sys.argv[2]), ones(sys.argv[3])); import inference.zoo\n"
    program += "print(inference.zoo.mine)"
    assert run(program, theirs, first, second) == ["1.0", "2.0", "theirs"]


def test_a_hubconf_without_its_clone(tmp_path):
    shutil.copy(ROOT / "hubconf.py", tmp_path)
    with pytest.raises(ImportError, match="works in a whole clone of its repository alone"):
        torch.hub.load(str(tmp_path), "p1_a", **HERE)
