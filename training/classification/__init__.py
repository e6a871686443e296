"""Image classification: P1 models A and B, and the fine-tuning of P2."""
