"""From files on disk or the network to matrices of numbers, and the rules that split them."""
