"""The shape of ``bascule.json5``, one module a section; every key is known from the start, carried out or not."""
