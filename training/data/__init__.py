"""Images and labels in memory, in batches, split."""
