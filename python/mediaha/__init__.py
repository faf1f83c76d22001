"""mediaha: calls that outlive their servers."""
