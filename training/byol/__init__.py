"""Pre-training without labels: BYOL, the first half of P2."""
