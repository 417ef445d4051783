"""Wide tables of a dataset under their known import path."""
