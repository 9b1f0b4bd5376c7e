"""`textstream dlq inspect|replay`: which dead letters there are and why, and the originals once more."""
