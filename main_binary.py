"""Salutary labeling against the paper's baselines on a data set of two classes.

python main_binary.py --dataset bank --diabetes n
"""

import sys

from cli import main

if __name__ == "__main__":
    sys.exit(main("binary"))
