"""`mapcast eval`: a replay, held against the recording's ground truth."""
