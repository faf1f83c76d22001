"""TCA, telephony configuration and administration: the site file, read, checked and turned into a ``Site``.

``load_site(path)`` gives the site and warnings, or raises ``SiteMistakes`` with all mistakes, each with its line.
``standalone_site()`` is the site that runs when there is no file. The file itself is described in docs/site.md.
"""

from mediaha.tca.certificates import certificate_mistakes
from mediaha.tca.loading import load_site, site_from_text
from mediaha.tca.mistakes import Mistake, SiteMistakes
from mediaha.tca.secrets import secret_warnings
from mediaha.tca.standalone import standalone_site

__all__ = [
    "Mistake",
    "SiteMistakes",
    "certificate_mistakes",
    "load_site",
    "secret_warnings",
    "site_from_text",
    "standalone_site",
]
