"""Training: recipes, runs, published checkpoints and generated sample data.

May import `inference`, which never imports this package.
"""
