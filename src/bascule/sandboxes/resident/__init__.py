"""What runs as the first process of a container; standard library, the worker and nothing else."""
