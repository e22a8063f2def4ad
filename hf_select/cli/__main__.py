"""``python -m hf_select.cli``, and what ``accelerate launch -m hf_select.cli`` runs."""

from __future__ import annotations

import sys

from hf_select.cli import main

if __name__ == "__main__":
    sys.exit(main())
