"""RTP load that checks what it hears: for the drill, for benchmarks, and for your own experiments.

A ``Load`` owns threads that send one packet per endpoint each 20 ms and judge every packet that arrives: is it the
paired endpoint's, whole, in order, for the first time? ``arrivals`` gives the counts, ``gaps`` the silences,
``timeline`` the packets heard by time. ``set_up_calls`` measures how fast a media server takes calls. See
``examples/load.py``.
"""

from mediaha._core import Arrivals, Gap, Load, adopt_calls, set_up_calls

__all__ = ["Arrivals", "Gap", "Load", "adopt_calls", "set_up_calls"]
