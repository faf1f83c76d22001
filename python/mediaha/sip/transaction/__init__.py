"""Transactions (RFC 3261 section 17 with RFC 6026): decided here, without socket, clock or chance.

`layer` finds the transaction that a datagram belongs to; the four machines are in `client_invite`,
`client_noninvite`, `server_invite` and `server_noninvite`.
"""
