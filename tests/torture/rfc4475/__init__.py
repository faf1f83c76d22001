"""The test messages of RFC 4475, as its sections print them; binary bodies, which they cannot print, are ours."""
