"""The root of every error that mediaha raises on purpose."""


class MediahaError(Exception):
    """Something went wrong whose text says whose fault it is and what to do now."""
