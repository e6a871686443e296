"""Damaged inputs for the commands, and what a user would notice of their answers.

trial.py        one trial: a folder, random numbers, commands run in this process and watched
damage.py       how bytes and JSON are damaged
corners.py      networks whose answers are known beforehand, and a zoo of them
containers.py   pictures in every container and mode, sound or damaged
pictures.py     trials of classify, segment, overlay and the evaluator
tables.py       trials of classify-csv and grade
checkpoints.py  trials of checkpoints and zoo.json
runs.py         trials of run folders: publish, the report, the readers of figures
"""
