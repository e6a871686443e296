"""The hidden tests that are made of validation sets, and the data that give none."""

import pytest
from PIL import Image

from inference import UserError
from inference.editions import EDITIONS
from inference.grade.problems import find_problems
from inference.zoo.provenance import is_sample_data


@pytest.fixture
def data(tmp_path):
    """A `hw1_data/` of files that hold their own old name; only P3's are images."""
    val_50 = tmp_path / "p1_data" / "val_50"
    office = tmp_path / "p2_data" / "office"
    validation = tmp_path / "p3_data" / "validation"
    for folder in (val_50, office / "val", validation):
        folder.mkdir(parents=True)
    for i in range(9):
        (val_50 / f"{i * 6}_{450 + i}.png").write_text(f"{i * 6}_{450 + i}.png")
        (office / "val" / f"Alarm Clock{i}.JPG").write_text(f"Alarm Clock{i}.JPG")
    lines = [f"{20 + i},Alarm Clock{i}.JPG,{i * 8}" for i in range(9)]
    (office / "val.csv").write_text("\n".join(["id,filename,label", *lines, ""]))
    for name in ("0013_sat.jpg", "0013_mask.png", "0062_sat.jpg", "0062_mask.png", "extra.png"):
        Image.new("RGB", (8, 6)).save(validation / name)
    return tmp_path


def built(problem, folder):
    folder.mkdir()
    return problem.build(folder), {path.name: path for path in (folder / "test").iterdir()}


def test_p1_has_new_names_in_an_order_that_tells_nothing(data):
    [problem] = find_problems(data / "p1_data")
    arguments, files = built(problem, data / "hidden")
    assert arguments == [data / "hidden" / "test", data / "hidden" / "output" / "pred.csv"]
    assert sorted(files) == [f"000{i}.png" for i in range(9)]
    old = [files[name].read_text() for name in sorted(files)]
    assert sorted(old) == sorted(path.name for path in (data / "p1_data" / "val_50").iterdir())
    assert problem.truth == [int(name.split("_")[0]) for name in old]
    assert problem.truth != sorted(problem.truth)


def test_a_link_that_leads_nowhere_is_one_line(data):
    (data / "p1_data" / "val_50" / "1_lost.png").symlink_to(data / "gone")
    [problem] = find_problems(data / "p1_data")
    with pytest.raises(UserError, match=r"cannot copy .*1_lost.png: No such file or directory"):
        built(problem, data / "hidden")


def test_p2_has_new_names_shuffled_rows_and_no_labels(data):
    [problem] = find_problems(data / "p2_data")
    arguments, files = built(problem, data / "hidden")
    csv, folder, output = arguments
    assert (folder, output.parent) == (data / "hidden" / "test", data / "hidden" / "output")
    header, *rows = [line.split(",") for line in csv.read_text().splitlines()]
    assert header == ["id", "filename", "label"]
    assert [row[1:] for row in rows] == [[f"000{i}.jpg", "None"] for i in range(9)]
    numbers = [int(row[0]) - 20 for row in rows]
    assert sorted(numbers) == list(range(9)) and numbers != sorted(numbers)
    assert problem.truth == [8 * i for i in numbers]
    assert [files[row[1]].read_text() for row in rows] == [f"Alarm Clock{i}.JPG" for i in numbers]


def test_p3_has_the_images_only(data):
    [problem] = find_problems(data / "p3_data")
    arguments, files = built(problem, data / "hidden")
    assert arguments == [data / "hidden" / "test", data / "hidden" / "output"]
    assert sorted(files) == ["0013_sat.jpg", "0062_sat.jpg"]


@pytest.mark.parametrize("layout", ["2022", "2023"])
@pytest.mark.parametrize(
    ("edition", "images", "masks"),
    [
        ("2022", ["0013.jpg", "0062.jpg"], ["0013.png", "0062.png"]),
        ("2023", ["0013_sat.jpg", "0062_sat.jpg"], ["0013_mask.png", "0062_mask.png"]),
        ("2024", ["0013_sat.jpg", "0062_sat.jpg"], ["0013_mask.png", "0062_mask.png"]),
    ],
)
def test_p3_has_the_names_of_the_edition_whatever_the_data_has(
    data, layout, edition, images, masks
):
    if layout == "2022":
        for path in (data / "p3_data" / "validation").iterdir():
            name = path.name.replace("_sat", "").replace("_mask", "")
            path.rename(path.with_name(name))
    [problem] = find_problems(data / "p3_data", EDITIONS[edition])
    _, files = built(problem, data / "hidden")
    assert sorted(files) == images and sorted(problem.sizes) == masks
    assert set(problem.sizes.values()) == {(6, 8)}


@pytest.mark.parametrize(
    ("edition", "scripts"),
    [
        ("2022", {"P1": "hw1_1.sh", "P3": "hw1_2.sh"}),
        ("2023", {"P1": "hw1_1.sh", "P2": "hw1_2.sh", "P3": "hw1_3.sh"}),
        ("2024", {"P2": "hw1_1.sh", "P3": "hw1_2.sh"}),
        ("2025", {"P2": "hw1_1.sh", "P3": "hw1_2.sh"}),
    ],
)
def test_an_edition_has_its_problems_and_scripts(data, edition, scripts):
    problems = find_problems(data, EDITIONS[edition])
    assert {problem.name: problem.script for problem in problems} == scripts


def test_problems_are_known_by_their_content(data, monkeypatch):
    assert [problem.name for problem in find_problems(data)] == ["P1", "P2", "P3"]
    (data / "p2_data").rename(data / "office home")
    monkeypatch.chdir(data)
    assert [problem.name for problem in find_problems(".")] == ["P1", "P2", "P3"]
    assert [problem.name for problem in find_problems("office home")] == ["P2"]


def test_sample_data_are_marked_above_the_problems(data):
    [problem] = find_problems(data / "p1_data")
    assert not is_sample_data(problem.root)
    (data / "SAMPLE_DATA.json").write_text("{}")
    assert is_sample_data(problem.root)


def test_no_data(data):
    with pytest.raises(UserError, match=r"no folder .*nowhere"):
        find_problems(data / "nowhere")
    with pytest.raises(UserError, match=r"no folder .*xxx"):
        find_problems(data / ("x" * 300))
    with pytest.raises(UserError, match="it should hold p1_data/val_50"):
        find_problems(data / "p1_data" / "val_50")


def test_p1_name_without_a_class(data):
    (data / "p1_data" / "val_50" / "cat_1.png").touch()
    with pytest.raises(UserError, match=r"cat_1\.png: the class 'cat' is no number from 0 to 49"):
        find_problems(data)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,filename,label\n1,Alarm Clock0.JPG,None\n", r"val\.csv: the class 'None'"),
        ("id,filename,label\n1,Alarm Clock0.JPG,65\n", r"val\.csv: the class '65'"),
        ("id,filename\n1,Alarm Clock0.JPG\n", "no column 'label'"),
        ("id,filename,label\n1,b.jpg,3\n", r"no image .*b\.jpg, which .*val\.csv names"),
        ("id,filename,label\n1,b.jpg\n", r"line 2 of .*val\.csv is incomplete"),
        ("id,filename,label\n", r"no row in .*val\.csv"),
        ("", r"no column .id. in .*val\.csv"),
        ("\0", "val.csv"),
        (None, r"cannot read .*val\.csv"),
    ],
)
def test_p2_csv_without_truth(data, text, message):
    table = data / "p2_data" / "office" / "val.csv"
    table.unlink() if text is None else table.write_text(text)
    with pytest.raises(UserError, match=message):
        find_problems(data)


def test_p3_without_masks_or_images(data):
    validation = data / "p3_data" / "validation"
    (validation / "0062_mask.png").write_text("no image")
    with pytest.raises(UserError, match=r"cannot read .*0062_mask\.png"):
        find_problems(data)
    (validation / "0062_mask.png").unlink()
    with pytest.raises(UserError, match=r"cannot read .*0062_mask\.png"):
        find_problems(data)
    for path in validation.glob("*_sat.jpg"):
        path.unlink()
    with pytest.raises(UserError, match=r"no xxxx_sat\.jpg or xxxx\.jpg in "):
        find_problems(data)
