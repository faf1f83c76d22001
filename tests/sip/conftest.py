"""Properties hold or do not; how long an example takes on a busy machine is no property."""

from hypothesis import settings

settings.register_profile("mediaha", deadline=None)
settings.load_profile("mediaha")
