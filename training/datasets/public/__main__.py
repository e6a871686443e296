"""`python -m training.datasets.public DATASET SOURCE OUT`."""

import argparse
import signal
import sys
from functools import partial
from pathlib import Path

from inference import UserError
from training.datasets.public import cifar, deepglobe, mini_imagenet, office_home
from training.datasets.public.place import place


def main(arguments=None):
    """Runs the command line.

    Returns:
        The exit status: 0; 2 for what the user can mend; 130 after Ctrl-C.
    """
    options = _parser().parse_args(arguments)
    try:
        print(place(options.out, options.part, partial(options.fill, options)))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted: nothing was written", file=sys.stderr)
        return 130
    return 0


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m training.datasets.public",
        description="Turns a public dataset, in the form in which it is downloaded, into its part "
        "of the course's hw1_data/. Each command explains what it reads: DATASET --help.",
    )
    datasets = parser.add_subparsers(metavar="DATASET", required=True)
    for name, form in (("cifar10", cifar.CIFAR10), ("cifar100", cifar.CIFAR100)):
        _add_cifar(datasets, name, form)
    _add(
        datasets,
        "mini-imagenet",
        "p2_data/mini",
        lambda options, folder: mini_imagenet.fill(folder, options.source, options.seed),
        "Reads a folder with train.csv and images/, one with class folders (those of the training "
        f"split are taken), or {mini_imagenet.CACHE}; writes p2_data/mini, 84x84.",
    )
    office = _add(
        datasets,
        "office-home",
        "p2_data/office",
        lambda options, folder: office_home.fill(
            folder, options.source, options.domain, options.seed
        ),
        "Reads the unpacked OfficeHomeDataset_10072016; writes p2_data/office: 3,951 + 406 images "
        "of Real World, as many as in the course.",
    )
    office.add_argument(
        "--domain", choices=office_home.DOMAINS, default="Real World", help="take another domain"
    )
    land = _add(
        datasets,
        "deepglobe",
        "p3_data",
        lambda options, folder: deepglobe.fill(folder, options.source, options.seed, options.all),
        "Reads the folder with train/*_sat.jpg and *_mask.png; writes p3_data: 2,000 + 257 tiles "
        "of 512x512, no scene in both sets.",
    )
    land.add_argument("--all", action="store_true", help="every tile: about 12,800")
    return parser


def _add(datasets, name, part, fill, description):
    command = datasets.add_parser(name, help=f"-> {part}", description=description)
    command.add_argument("source", type=Path, metavar="SOURCE", help="as it was downloaded")
    command.add_argument("out", type=Path, metavar="OUT", help=f"hw1_data folder; {part} is made")
    command.add_argument("--seed", type=_seed, default=0, help="same seed, same data (default 0)")
    command.set_defaults(fill=fill, part=part)
    return command


def _add_cifar(datasets, name, form):
    command = _add(
        datasets,
        name,
        "p1_data",
        lambda options, folder: cifar.fill(
            folder,
            form,
            options.source,
            options.seed,
            half=None if options.all else options.half,
            whole=options.all,
        ),
        f"Reads {form.archive}, or the folder {form.folder}; writes p1_data: 450 + 50 images a "
        "class, all of them from the training images.",
    )
    command.set_defaults(half=None)
    command.add_argument(
        "--all", action="store_true", help="every class and training image, a tenth in val_50"
    )
    if form is cifar.CIFAR100:
        command.add_argument(
            "--half",
            type=int,
            choices=(1, 2),
            default=1,
            help="the first 50 classes by name, as many as in the course (default), or the others",
        )


def _seed(text):
    seed = int(text)
    if seed < 0:
        raise ValueError
    return seed


if __name__ == "__main__":
    # Like Ctrl-C, so that the partial folder does not outlive the command.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
