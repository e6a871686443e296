"""Generated and imported data."""
