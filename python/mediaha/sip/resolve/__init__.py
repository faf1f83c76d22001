"""Finding the next hop (RFC 3263): from a URI to an ordered list of targets.

`locate` decides what to ask the DNS and what follows from its answers, `order` which server is tried first, `cache`
what is still believed; `resolver` asks, by dnspython on trio.
"""
