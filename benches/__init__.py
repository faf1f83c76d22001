"""What mediaha costs, and what it loses while nodes fail. ``make bench`` runs it all and prints a table.

``test_forwarding``, ``test_control``, ``test_nets``, ``test_reanchoring`` and ``test_failing_nodes`` measure; each
leaves a JSON and an SVG in ``build/bench``. The rest is what they measure with: ``relays`` (media servers as pinned
processes), ``generator`` and ``talker`` (RTP load in a process of its own), ``ng`` (a client that is fast enough not
to be what is measured), ``callers`` (SIPp), ``schedule`` (which node fails when), ``machine`` (what the kernel says
about a process), ``settings`` (how long and how much, from the environment) and ``findings`` (tables and files).

A figure counts only when the generator found every packet right: sender, content, order. Absolute figures belong to
the machine; ratios to a rival in the same run are what can be compared.
"""
