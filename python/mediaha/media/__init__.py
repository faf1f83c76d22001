"""The media-server role: the Rust relay and its ng control port, for as long as a trio task runs."""

from mediaha.media.server import MediaServerFailed, RunningMedia, serve_media

__all__ = ["MediaServerFailed", "RunningMedia", "serve_media"]
