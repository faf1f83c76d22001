"""Calls for a long time over a bad network; `make soak`."""
