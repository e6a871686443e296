"""What the tests of publishing share."""

import shutil
import sys

import numpy as np
import pytest
from PIL import Image

from inference import zoo
from tests.training.publish.author import clone, run
from tests.training.publish.hub import TOKEN, Hub
from training.publish import host, zoo_page


@pytest.fixture
def authors(repository, monkeypatch):
    """Return a repository of its own with printed pages, whose zoo this process uses."""
    shutil.copy(zoo_page.ROOT / "README.md", repository.root)
    (repository.root / "docs").mkdir()
    monkeypatch.setattr(zoo, "ZOO", repository.zoo)
    monkeypatch.setattr(zoo_page, "ROOT", repository.root)
    zoo_page.refresh()
    return repository


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Return P1 data of three classes of coloured noise, in the course's layout."""
    root = tmp_path_factory.mktemp("hw1_data") / "p1_data"
    random = np.random.default_rng(0)
    for part, count in (("train_50", 16), ("val_50", 4)):
        (root / part).mkdir(parents=True)
        for label in range(3):
            for i in range(count):
                pixels = random.integers(0, 120, (32, 32, 3), dtype=np.uint8)
                pixels[..., label] += 100
                Image.fromarray(pixels).save(root / part / f"{label}_{i}.png")
    return root


@pytest.fixture(scope="module")
def trained(tmp_path_factory, data):
    """Return a repository with a run of two batches an epoch in it."""
    root = clone(tmp_path_factory.mktemp("author"))
    arguments = '{"widths": [4, 8], "depths": [1]}'
    changes = ["classes=3", "epochs=2", "batch_size=20", f"arguments={arguments}", "lr=0.01"]
    command = ["-m", "training", "fit", "p1-a", "--data", str(data), *changes]
    run(sys.executable, *command, cwd=root)
    return root


@pytest.fixture
def place(trained, tmp_path, monkeypatch):
    """Return an author's clone with a run, in which this process publishes."""
    root = clone(tmp_path / "place")
    shutil.copytree(trained / "runs", root / "runs")
    monkeypatch.setattr(zoo, "ZOO", root / "inference" / "zoo.json")
    monkeypatch.setattr(zoo_page, "ROOT", root)
    return root


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Return a hub that huggingface_hub, which reads its environment once, takes for its own."""
    hub, ours = Hub(), lambda: [name for name in sys.modules if name.startswith("huggingface_hub")]
    with pytest.MonkeyPatch.context() as patch:
        for name in ours():
            patch.delitem(sys.modules, name)
        home = str(tmp_path_factory.mktemp("hf"))
        settings = {"ENDPOINT": hub.url, "HOME": home, "HUB_OFFLINE": "0", "HUB_DISABLE_XET": "1"}
        for name, value in settings.items():
            patch.setenv(f"HF_{name}", value)
        patch.setenv("no_proxy", "127.0.0.1")
        yield hub
        for name in ours():
            del sys.modules[name]
    hub.close()


@pytest.fixture
def hub(server, monkeypatch):
    """Return an empty hub, that of GitHub's files too; a student is logged in."""
    for part in (server.repositories, server.files, server.answers, server.blobs, server.fetched):
        part.clear()
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(host, "GITHUB", server.url)
    return server
