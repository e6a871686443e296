"""The zoo for `torch.hub`: every checkpoint by its name, with `_` for `-`.

    net = torch.hub.load(".", "p1_a", source="local")

Of a repository on GitHub, `torch.hub.list` shows the names, and `torch.hub.help` what a network
takes and gives.
"""

from inference import zoo as _zoo

dependencies = ["torch", "numpy", "PIL"]


def _entry(name):
    def entry(pretrained=True):
        record = _zoo.record(name)
        if not pretrained:
            from inference.networks import build

            return build(record.network, record.classes, **record.arguments)
        if not _zoo.path(record).is_file():
            from inference.zoo.download import download

            download([name])
        return _zoo.load(record)

    entry.__name__ = entry.__qualname__ = name.replace("-", "_")
    entry.__doc__ = _describe(_zoo.record(name))
    return entry


def _describe(record):
    side = f"{record.size}, {record.size}" if record.size else "H, W"
    gives = '{"out": logits (N, classes, H, W)}' if record.task == "p3" else "logits (N, classes)"
    return f"""The checkpoint {record.name}: {record.network}, trained on {record.trained_on}.

    Takes float32 (N, 3, {side}), RGB in [0, 1] less the mean {record.mean}, divided by the standard
    deviation {record.std}; gives {gives}, {record.classes} classes.
    `inference.load("{record.name}")` reads image files and answers with classes.

    Args:
        pretrained: fetch the weights if they are missing, verify and load them, for eval mode, or
            fail; False gives the network with random weights, in train mode, to be trained.

    Raises:
        inference.UserError: the weights are damaged, or missing and not to be had.
    """


for _name in _zoo.records():
    globals()[_name.replace("-", "_")] = _entry(_name)
