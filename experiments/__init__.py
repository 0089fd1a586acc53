"""The paper's experiment: options, the loop of rounds, results, statistics, tables and plots."""
