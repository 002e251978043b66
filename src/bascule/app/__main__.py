"""Where the gateway's own process begins, after its rights are gone."""

from __future__ import annotations

import sys

from bascule.app.process import main

sys.exit(main(sys.argv[1:]))
