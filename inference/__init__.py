"""Everything that a grader's machine needs, and nothing else.

The map of the package:

    __main__.py    the command line: classify, classify-csv, segment, download, list, grade, overlay
    predict.py     the three prediction loops: read ahead -> forward -> write behind
    batches.py     that forward pass, in batches; windows.py: of images too large for that
    model.py       the same for Python: `inference.load("p1-a").predict(paths)`
    images.py      find and read images, resize exactly as in training; colours.py: 8-bit RGB of any
                   pixels; salvage.py: what a damaged file still holds
    tables.py      the csv files that graders hand in and expect back; editions.py: of which year
    page.py        images and answers as a page to look through
    masks.py       masks written by threads; files.py: files that are there whole or not at all
    landcover.py   the seven land-cover classes, their colours; overlay.py: a mask over its image
    networks/      every nn.Module that we ship
    zoo/           the checkpoints, verified loading; manifest.py: zoo.json, which describes them
      checkpoint.py  a checkpoint's file; listing.py: the zoo as a table
      download.py    fetching checkpoints, by transfer.py (web, folders) and drive.py (Google Drive)
      urls.py        from the link that a browser shows to the one under which the file can be had
      provenance.py  whether data is the course's own
    device.py      device, precision, batch size, allocator; processor.py: what this CPU is fast at
    threads.py     how many threads compute, and how they wait
    fast_import.py importing torch, while images are read
    runner.py      a network at work: memory format, normalisation, views, out-of-memory retry
    grade/         a local autograder
      problems.py    hidden tests; run.py: the scripts; checks.py: what they wrote
      answering.py   which checkpoint answered; clone.py, repository.py: from a fresh clone
    sharding.py    one job on several processes, as torchrun starts them
    process.py     beginning and end of a command's process; spelling.py: names that are mistyped

The rule: this package imports torch, numpy, Pillow, gdown, tqdm and the standard library only,
keeps to the Python 3.8 language and to calls that exist since torch 1.12, and never imports
`training`. Importing it does no work: torch is loaded when a network is.
"""


class UserError(Exception):
    """Something that the user can mend.

    The message is one line: what is wrong, where, and what to do. The command line prints it
    after `error: ` and exits with status 2; anything else that is raised is a bug of ours.
    """


def __getattr__(name):
    """Return `inference.load` without importing torch for those who never call it (PEP 562)."""
    if name == "load":
        from inference.model import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
