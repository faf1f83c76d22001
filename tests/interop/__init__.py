"""mediaha against programs that others wrote."""
