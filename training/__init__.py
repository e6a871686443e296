"""Training: recipes, runs, published and exported checkpoints, generated and imported data.

May import `inference`, which never imports this package.
"""
