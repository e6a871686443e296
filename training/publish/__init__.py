"""From a run to a checkpoint in the zoo."""
