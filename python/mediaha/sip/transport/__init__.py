"""The transports: UDP, TCP and TLS under one seam (`seam`), opened from a `Listener`.

`framing` (where a message of a stream ends), `patience` (how long a connection may take) and `doors` (how many there
may be) decide; `udp`, `streams` and `connection` do. `tls` reads certificates.
"""
