"""Salutary labeling against the paper's baselines on a data set of more than two classes.

python main_multi.py --dataset wine --diabetes n
"""

import sys

from cli import main

if __name__ == "__main__":
    sys.exit(main("multi"))
