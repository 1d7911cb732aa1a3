"""`python -m homeport.engines.llama [PATH]`: describe kernels in a process of its own, which they may crash."""

import sys
from pathlib import Path

from homeport.domain.errors import Unavailable
from homeport.engines.llama.library import describe

if __name__ == "__main__":
    try:
        sys.stdout.write(describe(Path(sys.argv[1]) if len(sys.argv) > 1 else None) + "\n")
    except Unavailable as error:
        sys.exit(error.message)
