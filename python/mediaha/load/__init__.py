"""RTP load that checks what it hears: for the drill, for benchmarks, and for your own experiments."""
