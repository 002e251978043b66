"""Tools that policy may name and this version does not carry: known, recorded, and refused by what they lack."""
