"""What runs as the first process of a container; standard library, the worker and nothing else.

What is imported here stays in memory for as long as the container lives, in an image whose library perhaps nobody
compiled, while its start is waited for: so no module is used that brings many others along (``dataclasses``, ``json``,
``pathlib``, ``shutil``, ``signal``, ``socket``, ``typing``), and ``tests/sandboxes/resident`` holds it to that.
"""
