"""What every package may use: errors, the command line, files, the cache, processes."""
