"""``python -m privity``, which is the same as ``privity``."""

from privity import run

run()
