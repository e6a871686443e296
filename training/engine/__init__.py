"""Train a recipe into a folder, whatever the problem."""
