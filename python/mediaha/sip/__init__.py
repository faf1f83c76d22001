"""SIP for a back-to-back user agent: messages, transactions, dialogs, and an endpoint that speaks UDP, TCP and TLS.

Read `message` (what a request is), `target` (where it goes), `endpoint` (how requests come and go), `dialog` (what a
call remembers of one side). `transaction` decides without clock or socket, `transport` does, `endpoint` ties them
together. Beside them: `resolve` finds targets by DNS, `auth` asks for and shows credentials, `rate` limits what a
source may send, `trace` keeps messages for whoever looks into a call, `sdp` is what a B2BUA must know of a body.
RFC numbers without further note mean RFC 3261.
"""
