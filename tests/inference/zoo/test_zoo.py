"""The zoo: what zoo.json says is what is loaded, or a line that says why not."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from inference import UserError, networks, zoo
from inference.zoo import listing

REPOSITORY = Path(__file__).resolve().parents[3]
ARGUMENTS = {"widths": [2, 2, 2, 2], "depths": [0, 1, 0]}


def small(classes=50, **arguments):
    return networks.build("convnet", classes, **{**ARGUMENTS, **arguments})


@pytest.fixture
def there(tmp_path):
    """A zoo of one small network, the default of p1: its zoo.json, record and state_dict."""
    file, weights = tmp_path / "inference" / "zoo.json", tmp_path / "weights" / "p1-x.pth"
    for folder in (file.parent, weights.parent):
        folder.mkdir()
    state = {key: value.half() for key, value in small().state_dict().items()}
    torch.save(state, weights)
    record = zoo.Record(
        name="p1-x",
        task="p1",
        network="convnet",
        arguments=ARGUMENTS,
        classes=50,
        input={"size": 32, "mean": [0.1, 0.2, 0.3], "std": [0.25, 0.25, 0.25]},
        tta=True,
        file="p1-x.pth",
        bytes=weights.stat().st_size,
        sha256=zoo.sha256(weights),
        urls=["gdrive:1a2b3c", "https://example.org/p1-x.pth"],
        trained_on="sample data",
        recipe="p1-lite",
        scores={"data": "sample", "images": 2500, "metric": "accuracy", "fp32": 0.9012, "fast": {}},
    )
    zoo.add(record, default=True, file=file)
    return file, zoo.record("p1-x", file), state


def message(function, *arguments, **options):
    with pytest.raises(UserError) as raised:
        function(*arguments, **options)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_what_was_added_is_found(there):
    file, record, _ = there
    assert zoo.default("p1", file) == record == zoo.records(file)["p1-x"]
    assert zoo.path(record) == file.parent.parent / "weights" / "p1-x.pth"
    assert (record.size, record.mean, record.tta) == (32, [0.1, 0.2, 0.3], True)
    zoo.check(record)


def test_loads_in_fp32_on_the_cpu_for_evaluation(there):
    _, record, state = there
    network = zoo.load(record)
    assert not network.training
    for key, value in network.state_dict().items():
        assert value.device.type == "cpu" and torch.equal(value, state[key].to(value.dtype))
    assert {p.dtype for p in network.parameters()} == {torch.float32}
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 50)


def test_unknown_names_list_those_there_are(there):
    file, *_ = there
    said = "no checkpoint 'mine' in the zoo; there are: p1-x"
    assert message(zoo.record, "mine", file) == said
    said = "no checkpoint 'p1-y' in the zoo; there are: p1-x; did you mean 'p1-x'?"
    assert message(zoo.record, "p1-y", file) == said
    assert message(zoo.default, "p2", file).startswith("the zoo names no default for p2; choose")


def test_the_default_is_the_best_one_present(there):
    file, record, _ = there
    zoo.add(dataclasses.replace(record, name="p1-best", file="p1-best.pth"), True, file)
    assert zoo.default("p1", file) == record
    assert zoo.default("p1", file, present=False).name == "p1-best"
    zoo.path(record).unlink()
    text = message(zoo.default, "p1", file)
    assert text.endswith("(it would be p1-best or p1-x); run: bash hw1_download.sh p1-best")


def test_a_missing_file(there):
    _, record, _ = there
    zoo.path(record).unlink()
    wanted = f"{zoo.path(record)} is missing; run: bash hw1_download.sh p1-x"
    assert message(zoo.check, record) == message(zoo.load, record) == wanted


def test_a_truncated_file(there):
    _, record, _ = there
    zoo.path(record).write_bytes(zoo.path(record).read_bytes()[:-7])
    text = message(zoo.load, record)
    assert text == message(zoo.check, record)
    sizes = f"{record.bytes - 7} of {record.bytes} bytes"
    assert f"is truncated: {sizes}; fetch it again: bash hw1_download.sh p1-x" in text


def test_a_changed_file(there):
    _, record, _ = there
    data = bytearray(zoo.path(record).read_bytes())
    data[len(data) // 2] ^= 1
    zoo.path(record).write_bytes(data)
    text = message(zoo.load, record)
    assert text == message(zoo.check, record)
    assert f"was changed: its sha256 is {zoo.sha256(zoo.path(record))[:12]}..." in text
    zoo.path(record).write_bytes(data + b"more")
    assert f"was changed: {record.bytes + 4} bytes instead of {record.bytes}" in message(
        zoo.load, record
    )


def test_another_networks_weights_are_refused(there, tmp_path):
    _, record, _ = there
    own = tmp_path / "own.pth"
    for other in (small(classes=65), small(depths=[1, 1, 1]), small(depths=[0, 0, 0])):
        torch.save(other.state_dict(), own)
        text = message(zoo.load, record, own)
        assert text.startswith(f"{own}: the weights do not fit network 'convnet'")


def test_own_weights_need_no_record_of_their_own(there, tmp_path):
    _, record, _ = there
    zoo.path(record).unlink()
    own, network = tmp_path / "own.pth", small()
    torch.save(network.state_dict(), own)
    loaded = zoo.load(record, weights=own)
    assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), network.parameters()))
    assert message(zoo.load, record, tmp_path / "none.pth").endswith("No such file or directory")
    assert message(zoo.load, record, tmp_path).endswith("Is a directory")


def test_adding_keeps_the_others_as_they_are(there):
    file, record, _ = there
    before = file.read_text(encoding="utf-8")
    assert before.startswith('{\n  "defaults": {\n    "p1": [\n      "p1-x"\n')
    assert '"fp32": 0.9012' in before and before.endswith("}\n")
    zoo.add(record, file=file)
    assert file.read_text(encoding="utf-8") == before
    zoo.add(dataclasses.replace(record, name="été", trained_on="數據", classes=7), file=file)
    assert list(zoo.records(file)) == ["p1-x", "été"]
    assert zoo.default("p1", file) == record
    zoo.add(dataclasses.replace(record, classes=9), default=True, file=file)
    assert list(zoo.records(file)) == ["p1-x", "été"] and zoo.record("p1-x", file).classes == 9
    assert [path.name for path in file.parent.iterdir()] == ["zoo.json"]


def test_what_could_not_be_read_is_not_written(there):
    file, record, _ = there
    before = file.read_bytes()
    assert "checkpoint 'bad': its 'classes' is no int" in message(
        zoo.add, dataclasses.replace(record, name="bad", classes="50"), file=file
    )
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    "damage, reason",
    [
        (lambda zoo: zoo.pop("defaults"), "it has no 'defaults'"),
        (lambda zoo: zoo["checkpoints"].update(a=1), "checkpoint 'a': it is no record"),
        (lambda zoo: zoo["checkpoints"]["p1-x"].pop("sha256"), "its 'sha256' is missing"),
        (lambda zoo: zoo["checkpoints"]["p1-x"].update(bytes="9"), "its 'bytes' is no int"),
        (lambda zoo: zoo["checkpoints"]["p1-x"].update(sha=1), "no field 'sha' in a record; fi"),
        (lambda zoo: zoo["checkpoints"]["p1-x"].update(file="../x"), "is not a plain file name"),
        (lambda zoo: zoo["checkpoints"]["p1-x"]["input"].pop("std"), "its 'input' wants size, "),
        (lambda zoo: zoo["checkpoints"]["p1-x"].update(urls=["ftp://a/b"]), "nothing is fetched"),
        (lambda zoo: zoo["checkpoints"]["p1-x"].update(urls=[""]), "url '': it is empty; a url is"),
        (lambda zoo: zoo["checkpoints"]["p1-x"].update(urls=[{}]), "url {} is no text"),
        (lambda zoo: zoo["checkpoints"].update({"a\nb": {}}), "its name is no single line of text"),
        (lambda zoo: zoo["defaults"].update(p2=[["b"]]), "['b'], a default of 'p2', has no record"),
        (lambda zoo: zoo["defaults"].update(p2=[{}]), "{}, a default of 'p2', has no record"),
        (lambda zoo: zoo["defaults"].update(p2=["b"]), "'b', a default of 'p2', has no record"),
    ],
)
def test_a_malformed_zoo(there, damage, reason):
    file, *_ = there
    content = json.loads(file.read_text(encoding="utf-8"))
    damage(content)
    file.write_text(json.dumps(content), encoding="utf-8")
    text = message(zoo.records, file)
    assert text.startswith(f"cannot use {file}: ") and reason in text
    assert text.endswith("git checkout inference/zoo.json")


ENTRY = {  # a field's value, and what the line says
    "input": [
        ({"size": size, "mean": [0.5] * 3, "std": [0.5] * 3}, "its 'size' is ")
        for size in ("32", 0, -1, 0.5, 32.0, 1e308, float("inf"), 10_000, True, [32], {})
    ]
    + [
        ({"size": 32, "mean": mean, "std": [0.5] * 3}, "'input' wants size, and mean and std of")
        for mean in (None, "abc", 0.5, [0.5] * 2, [[], [], []], ["0", 0, 0], [None] * 3, [True] * 3)
    ]
    + [
        ({"size": 32, "mean": [0.5] * 3, "std": std}, "std is above 0")
        for std in ([0, 1, 1], [1, -1, 1], [1e-300] * 3, [1e308] * 3)
    ]
    + [({"size": 32, "mean": [0.5] * 3, "std": [float("nan")] * 3}, "of three numbers")]
    + [({"size": 32, "mean": [10**400, 0, 0], "std": [1] * 3}, "of three numbers")],
    "scores": [
        ({"fast": fast}, "fast is no record of precisions")
        for fast in ([1], "x", 3, {"cpu-bf16": None}, {"cpu-bf16": [0.5]})
    ]
    + [
        ({"fast": {"cpu-bf16": {"score": 0.5, "agreement": "1"}}}, "'cpu-bf16': agreement is"),
        ({"fast": {"cpu-bf16": {"score": {}, "agreement": 1}}}, "'cpu-bf16': score is {}, and no"),
        ({"fp32": "0.9"}, 'fp32 is "0.9", and no share'),
        ({"fp32": float("nan")}, "fp32 is NaN, and no share"),
        ({"fp32": 90.1}, "fp32 is 90.1, and no share, 0 to 1"),
        ({"images": 0}, "images is 0, and not from 1 up"),
        ({"images": "9"}, 'images is "9", and not from 1 up'),
        ({"metric": ["mIoU"]}, 'metric is no single line of text: ["mIoU"]'),
    ],
    "classes": [(0, "its 'classes' is 0, and not from 1 up"), (True, "its 'classes' is no int")],
    "sha256": [("AB" * 32, "and not 64 digits from 0 to f"), ("ab", "its 'sha256' is")],
    "bytes": [(-1, "its 'bytes' is -1"), (10**400, "its 'bytes' is 1000")],
    "file": [("", "is not a plain file name"), ("x" * 300, "is not a plain file name")],
    "trained_on": [("a\nb", "its 'trained_on' is no single line"), ("\ud800", '"\\ud800"')],
    "arguments": [({"\ud800": 1}, "it holds half a character")],
    "task": [("p2", "'p1-x', a default of 'p1', is for another task")],
}


@pytest.mark.parametrize("field", ENTRY)
def test_odd_values_in_a_record(there, field):
    file, *_ = there
    content = json.loads(file.read_text(encoding="utf-8"))
    for value, reason in ENTRY[field]:
        content["checkpoints"]["p1-x"][field] = value
        file.write_text(json.dumps(content), encoding="utf-8")
        text = message(zoo.records, file)
        assert text.startswith(f"cannot use {file}: ") and reason in text, value
        assert text.isprintable() and len(text) < 400


def test_right_values_in_a_record(there):
    file, *_ = there
    content = json.loads(file.read_text(encoding="utf-8"))
    one = content["checkpoints"]["p1-x"]
    for size in (1, 4096, None):
        one["input"] = {"size": size, "mean": [0, 0, 0], "std": [1, 1, 0.001]}
        for scores in ({}, {"fp32": 1}, {"fast": None}, {"fast": {"cpu-bf16": {}}, "note": [3]}):
            one["scores"] = scores
            file.write_text(json.dumps(content), encoding="utf-8")
            assert zoo.record("p1-x", file).size == size and listing.table(file)


def test_a_map_has_no_more_classes_than_colours(there):
    file, *_ = there
    content = json.loads(file.read_text(encoding="utf-8"))
    size = {"size": None, "mean": [0, 0, 0], "std": [1, 1, 1]}
    content["checkpoints"]["p3-x"] = {
        **content["checkpoints"]["p1-x"], "task": "p3", "classes": 8, "input": size
    }  # fmt: skip
    file.write_text(json.dumps(content), encoding="utf-8")
    assert "its 'classes' is 8, and land cover has 7" in message(zoo.records, file)


def test_a_map_has_the_size_of_its_image(there):
    _, record, _ = there
    odd = dataclasses.replace(record, name="p3-x", task="p3", classes=7)
    assert "its 'size' is 32, and not null: maps are of their" in message(
        zoo.add, odd, file=there[0]
    )


def test_a_zoo_whose_brackets_never_close(there):
    file, *_ = there
    for text in ("[" * 200_000, '{"a":' * 200_000):
        file.write_text(text, encoding="utf-8")
        assert f"cannot use {file}: it is not JSON (" in message(zoo.records, file)


def test_a_link_somebody_wrote_down_is_read_as_what_it_means(there):
    file, *_ = there
    content = json.loads(file.read_text(encoding="utf-8"))
    links = ["https://drive.google.com/open?id=1a2b", "https://hf.co/u/r/blob/main/x.pth"]
    content["checkpoints"]["p1-x"]["urls"] = links
    file.write_text(json.dumps(content), encoding="utf-8")
    assert zoo.record("p1-x", file).urls == [
        "gdrive:1a2b",
        "https://huggingface.co/u/r/resolve/main/x.pth",
    ]


PROGRAM = """
import dataclasses, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from inference import zoo
file = Path(sys.argv[2])
record = zoo.record("p1-x", file)
for i in range(15):
    zoo.add(dataclasses.replace(record, name=f"{sys.argv[3]}{i}"), True, file)
"""


def test_what_several_processes_add_at_once_is_all_there(there):
    file, *_ = there
    command = [sys.executable, "-c", PROGRAM, str(REPOSITORY), str(file)]
    several = [subprocess.Popen([*command, letter]) for letter in "abcd"]
    assert [process.wait(timeout=60) for process in several] == [0] * 4
    wanted = {"p1-x", *(f"{letter}{i}" for letter in "abcd" for i in range(15))}
    assert set(zoo.records(file)) == wanted
    assert {record.name for record in zoo.defaults(file)["p1"]} == wanted
    assert [path.name for path in file.parent.iterdir()] == ["zoo.json"]


def test_a_zoo_that_is_not_there_or_not_json(there):
    file, *_ = there
    file.write_text("<<<<<<< HEAD\n{", encoding="utf-8")
    assert f"cannot use {file}: it is not JSON (" in message(zoo.defaults, file)
    file.unlink()
    assert "No such file or directory; mend it" in message(zoo.default, "p1", file)


def test_the_table_says_what_is_where(there):
    file, record, _ = there
    for name in ("gone", "cut", "other"):
        zoo.add(dataclasses.replace(record, name=name, file=f"{name}.pth", urls=[]), file=file)
    weights = record.folder
    data = zoo.path(record).read_bytes()
    (weights / "cut.pth").write_bytes(data[:9])
    (weights / "other.pth").write_bytes(data[::-1])
    (record.folder.parent / ".gitignore").write_text("weights/*\n!weights/gone.pth\n")
    head, *rows, legend = listing.table(file).splitlines()
    assert head.split() == (
        "name task network classes parameters input MB score trained on source file".split()
    )
    learned = sum(parameter.numel() for parameter in small().parameters())
    assert [row.replace("*", " ").split()[4] for row in rows] == [f"{learned:,}", "-", "-", "-"]
    assert rows[0].startswith("p1-x *") and legend == "* the default of its task"
    assert "32x32" in rows[0] and "0.9012 accuracy (n=2500)" in rows[0]
    assert "gdrive, https" in rows[0] and "bundled" in rows[1]
    assert "no url" in rows[2] and "bundled" not in rows[2]
    assert [row.split()[-1] for row in rows] == ["present", "missing", "truncated", "changed"]


def test_defaults_and_tables_do_not_wait_for_torch(there):
    file, *_ = there
    program = (
        "import sys; from pathlib import Path\n"
        f"sys.path.insert(0, {str(REPOSITORY)!r}); file = Path({str(file)!r})\n"
        "from inference import zoo; from inference.zoo import download, listing\n"
        "zoo.check(zoo.default('p1', file)); listing.table(file)\n"
        "download.download(say=len, file=file)\n"
        "assert not {'torch', 'numpy', 'gdown', 'requests'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
