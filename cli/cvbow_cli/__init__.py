"""The ``cvbow`` command line."""
