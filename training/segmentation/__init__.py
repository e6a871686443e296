"""Land-cover segmentation: P3."""
