"""Pools that do not fit into memory: read, scored and summed in chunks of rows."""
