"""`mapcast bench`: what is promised, measured beside peers."""
