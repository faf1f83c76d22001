"""SIP for a back-to-back user agent: messages, transactions, dialogs, and an endpoint that speaks UDP, TCP and TLS.

Read `message` (what a request is), `endpoint` (how requests come and go), `dialog` (what a call remembers of one
side). `transaction` decides without clock or socket; `endpoint` does. `sdp` is what a B2BUA must know of a
body. RFC numbers without further note mean RFC 3261.
"""
