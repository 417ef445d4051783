"""What is run by hand: ``python src/scripts/NAME.py``."""
