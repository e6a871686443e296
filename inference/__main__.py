"""The command line of the graded path: `python3 -m inference COMMAND ...`.

The graded scripts run this folder by its path, from any working folder. Whatever lies there
(somebody else's `inference/`, a `torch.py`) must not be imported, so the first thing done is to
put the repository first on the module path, and the working folder last.
"""

import os
import sys


def _is_folder(path: str, folder: str) -> bool:
    try:
        return os.path.samefile(path or ".", folder)  # by inode: a cwd may be deleted, or a link
    except OSError:
        return False  # the standard library's zip, which seldom exists


def _isolate() -> None:
    """Put the repository first on the module path and the working folder, if it is there, last.

    PYTHONPATH=":/somewhere", which `export PYTHONPATH=$PYTHONPATH:...` makes, means the cwd too.
    Last instead of nowhere: somebody may keep their packages in the folder that they stand in.
    """
    package = os.path.dirname(os.path.abspath(__file__))
    root = os.path.dirname(package)
    others = [p for p in sys.path if not _is_folder(p, package) and not _is_folder(p, root)]
    sys.path[:] = [root, *sorted(others, key=lambda p: _is_folder(p, "."))]  # sorting is stable


if __name__ == "__main__":
    _isolate()

import argparse  # noqa: E402
from pathlib import Path  # noqa: E402

from inference import device, editions, process, threads  # noqa: E402


def main(arguments=None) -> int:
    """Run one command; the name of a graded script stands for the one that its paths mean.

    Returns:
        The exit status: 0; 1 when `grade` found what would cost points; 2 for an error that the
        user can mend; 3 when images could not be read and `--fill` was not given.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if arguments and arguments[0] in editions.FORMS:
            arguments[0] = editions.command_of(arguments[0], arguments[1:], _add_options_of)
        options = _parser().parse_args(arguments)
        return options.run(options)
    except Exception as error:
        line = process.line_of(error)
        if line is None:
            raise
    process.say_error(f"error: {line}")
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 -m inference",
        description="Classify and segment images, and grade the result as the course does.",
        epilog="Each command explains what it reads and writes: COMMAND --help.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_classify(commands)
    _add_classify_csv(commands)
    _add_segment(commands)
    _add_zoo(commands)
    _add_grade(commands)
    _add_overlay(commands)
    return parser


def _command(commands, name, run, description, **places):
    """Add a command; `places` are the files and folders that it is given, with their help."""
    command = commands.add_parser(
        name, help=description.split(". ")[0].split(": ")[0], description=description
    )
    for place, text in places.items():
        command.add_argument(place, type=Path, metavar=place.upper(), help=text)
    command.set_defaults(run=run)
    return command


def _add_classify(commands) -> None:
    command = _command(
        commands,
        "classify",
        lambda options: _predict("classify", options, options.img_dir, options.out_csv),
        "Label every image of a folder. Reads IMG_DIR/*.png, *.jpg, ...; writes OUT_CSV with the "
        "header filename,label and a row for every image, sorted by name.",
        img_dir="folder of the images",
        out_csv="csv file to write",
    )
    _add_settings(command)
    _add_probabilities(command)


def _add_classify_csv(commands) -> None:
    command = _command(
        commands,
        "classify-csv",
        lambda options: _predict(
            "classify_csv", options, options.csv, options.img_dir, options.out_csv
        ),
        "Label the images that a csv lists. Reads the columns id and filename of CSV and the "
        "images IMG_DIR/filename; writes OUT_CSV with the header id,filename,label and the same "
        "rows in the same order.",
        csv="csv file that lists the images",
        img_dir="folder of the images",
        out_csv="csv file to write",
    )
    _add_settings(command)
    _add_probabilities(command)


def _add_segment(commands) -> None:
    command = _command(
        commands,
        "segment",
        lambda options: _predict("segment", options, options.img_dir, options.out_dir),
        "Map the land cover in satellite images. Reads IMG_DIR/xxxx_sat.jpg (or, where there is "
        "no *_sat.* file, every image); writes OUT_DIR/xxxx_mask.png, RGB, of the same size.",
        img_dir="folder of the images",
        out_dir="folder for the masks",
    )
    _add_settings(command)


def _add_settings(command) -> None:
    command.add_argument("--model", metavar="NAME", help="checkpoint of the zoo; see `list`")
    command.add_argument(
        "--weights", type=Path, metavar="FILE", help="state dict to use in the model's place"
    )
    command.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, ...")
    command.add_argument(
        "--precision",
        default="auto",
        choices=device.PRECISIONS,
        help="auto: a fast one where the zoo shows that it changes next to nothing, else fp32",
    )
    command.add_argument(
        "--tta", action="store_true", help="average over flips, of land cover over rotations too"
    )
    command.add_argument(
        "--fill",
        action="store_true",
        help="unreadable images: class 0 or an all-Unknown mask; else -1 or no mask, and status 3",
    )
    command.add_argument(
        "--html",
        type=Path,
        metavar="FILE",
        help="also a page to look through: images and answers, the least confident first",
    )
    command.add_argument(
        "--html-limit",
        type=_positive,
        default=500,
        metavar="N",
        help="images that the page shows (500)",
    )


def _add_probabilities(command) -> None:
    command.add_argument(
        "--probabilities", type=Path, metavar="FILE", help="also a csv with a column a class"
    )


def _add_options_of(script) -> None:
    """Add the options of every command that a graded script may mean."""
    _add_settings(script)
    if any(form.command.startswith("classify") for form in editions.FORMS[script.prog]):
        _add_probabilities(script)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number above 0")
    return int(text)


def _predict(function: str, options, *places) -> int:
    device.tune_allocator()
    from inference import predict

    given = vars(options)
    settings, extras = (
        kind(**{k: given[k] for k in kind._fields if k in given})
        for kind in (predict.Settings, predict.Extras)
    )
    return 3 if getattr(predict, function)(*places, settings, extras) else 0


def _add_zoo(commands) -> None:
    command = _command(
        commands,
        "download",
        _download,
        "Fetch and verify checkpoints. Reads inference/zoo.json, fetches what is missing in "
        "weights/ (first from the url or folder in HW1_MIRROR, if set), and leaves alone what is "
        "right. Without a NAME: every task's default.",
    )
    command.add_argument("names", nargs="*", metavar="NAME", help="checkpoint of the zoo")
    _command(
        commands,
        "list",
        _list,
        "List the checkpoints of the zoo. Reads inference/zoo.json and weights/; writes nothing.",
    )


def _download(options) -> int:
    from inference.zoo.download import download

    download(options.names)
    return 0


def _list(options) -> int:
    from inference.zoo.listing import table

    print(table())
    return 0


def _add_grade(commands) -> None:
    command = _command(
        commands,
        "grade",
        _grade,
        "Do what a grader would do, on your own data. Reads DATA_DIR (hw1_data/ or one problem of "
        "it), runs the scripts on its validation images without their labels, checks and scores "
        "what they write, and prints a table; exits with 1 when something would cost points.",
        data_dir="hw1_data/ or a part",
    )
    command.add_argument(
        "--limit-seconds", type=_positive, default=600, metavar="S", help="for each script (600)"
    )
    command.add_argument(
        "--edition",
        choices=list(editions.EDITIONS),
        default=editions.DEFAULT,
        help=f"whose grader to be ({editions.DEFAULT})",
    )
    command.add_argument(
        "--clone",
        action="store_true",
        help="grade what is committed: clone it, download, run; check the repository's files too",
    )


def _grade(options) -> int:
    from inference.grade import grade

    return grade(
        options.data_dir,
        options.limit_seconds,
        edition=options.edition,
        clone=options.clone,
    )


def _add_overlay(commands) -> None:
    command = _command(
        commands,
        "overlay",
        _overlay,
        "Draw a mask over its image. Reads IMAGE and MASK; writes a PNG in which every class "
        "region is tinted and outlined in its colour.",
        image="satellite image",
        mask="mask in the classes' colours",
    )
    command.add_argument(
        "-o", "--out", type=Path, metavar="OUT.png", help="default: <IMAGE's stem>_overlay.png"
    )
    command.add_argument(
        "--legend", action="store_true", help="add which colour is which class, and its share"
    )
    command.add_argument(
        "--model", metavar="NAME", help="of the legend: the checkpoint whose class names it has"
    )


def _overlay(options) -> int:
    from inference.overlay import write_overlay

    names = _legend(options.model) if options.legend or options.model else None
    write_overlay(options.image, options.mask, options.out, names)
    return 0


def _legend(model) -> list:
    from inference import UserError, landcover, zoo

    if model is None:
        return list(landcover.CLASSES)
    record = zoo.record(model)
    if record.task != "p3" or not record.class_names:
        raise UserError(f"{model} maps no land cover: leave --model out, or see `list`")
    return record.class_names


if __name__ == "__main__":
    process.use_utf8()
    process.open_streams()
    threads.wait_passively()
    try:
        process.leave(main())
    except KeyboardInterrupt:
        process.leave(130)
    except SystemExit as end:  # argparse, after --help or a mistake
        process.leave(int(end.code or 0))
