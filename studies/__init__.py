"""The studies behind explore.py: a file for each, and one explicit list of them in registry.py."""
