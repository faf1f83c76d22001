"""The media-server role: the Rust relay and its ng control port, for as long as a trio task runs."""

from mediaha._core import share_heap
from mediaha.media.keeping import Line, assigned, line_on, start_keeper, words_for
from mediaha.media.server import MediaServerFailed, RunningMedia, serve_media

__all__ = [
    "Line",
    "MediaServerFailed",
    "RunningMedia",
    "assigned",
    "line_on",
    "serve_media",
    "share_heap",
    "start_keeper",
    "words_for",
]
