"""Where the parts of mediaha are wired together, and nowhere else.

``host`` runs one host of a site, ``session`` is one NeTS of it. ``alone`` runs one media server, and needs neither.
"""
