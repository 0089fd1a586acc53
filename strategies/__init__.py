"""Who is picked from the pool, and with which label: a function each, and one list of them all."""
