"""Digest authentication (RFC 7616, RFC 8760, RFC 3261 section 22), both sides. Decides: time and chance are arguments.

`digest` has the words and the arithmetic; `server` judges requests, with nonces (`nonces`) that cannot be replayed;
`client` answers challenges. Nobody here sees a password of others: what is kept is its hash with name and realm (HA1).
One of ours is kept whole only where the realm is not known beforehand.
"""
