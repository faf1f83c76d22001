"""Trunks: the way to call managers and other targets, each watched with OPTIONS, the next one tried when one fails.

``lines`` finds out which targets there are, ``health`` decides what is believed of one, ``order`` which is tried
first; ``watch`` asks them. A target that is thought to be down goes last instead of out: when all are, the fault is
more likely ours. ``registration`` decides when we register at a carrier, and ``registering`` does it.
"""
