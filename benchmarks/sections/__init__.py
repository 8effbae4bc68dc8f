"""The sections of `speed.py`: one module each, with the contenders and what is fair about them."""
