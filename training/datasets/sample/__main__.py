"""`python -m training.datasets.sample OUT [--scale small|full] [--seed N]`."""

import argparse
import signal
import sys

from inference import UserError
from training.datasets.sample.write import SCALES, generate


def main(arguments=None):
    """Runs the command line.

    Returns:
        The exit status: 0; 2 for what the user can mend; 130 after Ctrl-C.
    """
    parser = argparse.ArgumentParser(
        prog="python -m training.datasets.sample",
        description="Writes a generated hw1_data/ in the course's layout: p1_data (50 classes, "
        "32x32), p2_data (mini, unlabelled, and office, 65 classes with csv), p3_data (land cover)."
        " A folder that already holds this very data is left alone.",
    )
    parser.add_argument("out", metavar="OUT", help="folder to make, e.g. hw1_data")
    parser.add_argument(
        "--scale", choices=SCALES, default="small", help="full: the course's counts"
    )
    parser.add_argument("--seed", type=_seed, default=0, help="same seed, same data (default 0)")
    options = parser.parse_args(arguments)
    try:
        print(generate(options.out, options.scale, options.seed))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted: nothing was written", file=sys.stderr)
        return 130
    return 0


def _seed(text):
    seed = int(text)
    if seed < 0:
        raise ValueError
    return seed


if __name__ == "__main__":
    # Like Ctrl-C, so that workers and the partial folder do not outlive the command.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
