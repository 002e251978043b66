"""The loop, the store and the choice of a model cost no model SDK until a model is asked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "src"
PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import bascule.runtime.turns, bascule.runtime.sessions, bascule.runtime.prompts
import bascule.runtime.providers.choice, bascule.runtime.providers.scripted, bascule.runtime.providers.local
import bascule.runtime.providers.anthropic, bascule.runtime.providers.openai
print(sorted(name for name in ("pydantic_ai", "openai", "anthropic", "httpx2", "xllamacpp") if name in sys.modules))
"""


def test_no_model_sdk_is_imported_before_a_model_is_asked() -> None:
    command = [sys.executable, "-c", PROGRAM, str(SOURCE)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
