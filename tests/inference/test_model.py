import subprocess
import sys

import numpy as np
import pytest

import inference
from inference import UserError, load, predict


@pytest.fixture(autouse=True)
def _zoo(small_zoo):
    """All of these tests use the zoo of small networks."""


def test_a_classifier_gives_what_the_command_line_gives(small_zoo, small_images):
    paths = sorted(small_images.iterdir())
    net = load("p1-small", device="cpu", precision="fp32")
    labels = net.predict(str(path) for path in paths)
    expected = predict.labels(paths, small_zoo["p1"], predict.Settings(device="cpu"))
    assert labels == expected and all(type(label) is int for label in labels)
    assert net.predict(paths[:3]) == labels[:3] and net.predict([]) == []


def test_a_segmentation_network_gives_masks(tiles):
    net = load("p3-small", device="cpu", batch_size=3)
    found = net.predict(sorted(tiles.glob("*_sat.jpg")))
    assert [mask.shape for mask in found] == [(64, 64)] * 4 + [(70, 50)]
    assert all(mask.dtype == np.uint8 and mask.max() < 7 for mask in found)


def test_the_network_and_its_record_are_there(small_zoo):
    net = load("p1-small", device="cpu")
    assert net.record == small_zoo["p1"]
    assert not net.network.training and net.network.fc.out_features == 50


def test_an_image_that_cannot_be_read(small_images, tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    net = load("p1-small", device="cpu")
    paths = [*small_images.iterdir(), tmp_path / "text.png", tmp_path / "gone.png"]
    with pytest.raises(UserError, match=f"cannot read {tmp_path}/text.png: not an image; mend"):
        net.predict(paths)
    with pytest.raises(UserError, match=r"gone.png: No such file or directory"):
        net.predict(paths[-1:])


def test_one_path_is_no_list_of_paths(small_images):
    net = load("p1-small", device="cpu")
    with pytest.raises(UserError, match=r"predict takes a list of images: give \['0000.png'\]"):
        net.predict("0000.png")


@pytest.mark.parametrize(
    "settings, said",
    [
        ({"precision": "fp64"}, "no precision 'fp64'; there are: auto, fp32, bf16, fp16"),
        ({"batch_size": 0}, "batch_size=0: it is a whole number from 1 up"),
    ],
)
def test_a_setting_that_cannot_be(settings, said):
    with pytest.raises(UserError, match=said):
        load("p1-small", device="cpu", **settings)


def test_a_name_that_is_not_in_the_zoo():
    with pytest.raises(UserError, match="no checkpoint 'resnet5' in the zoo; there are: p1-small"):
        load("resnet5")


def test_loading_leaves_the_callers_garbage_collector_alone(pristine):
    code = "import gc; from inference import load; load('p1-small', device='cpu'); "
    code += "print(gc.isenabled(), gc.get_freeze_count())"
    assert pristine.shell(f'{sys.executable} -c "{code}"', cwd=pristine.root).stdout == "True 0\n"


def test_importing_the_package_loads_no_torch():
    code = "import sys, inference; from inference import load; print('torch' in sys.modules)"
    root = inference.__path__[0] + "/.."
    run = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert run.stdout == "False\n"
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        _ = inference.lod
