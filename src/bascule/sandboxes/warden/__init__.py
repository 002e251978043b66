"""The warden: the small root process that mounts, starts and kills boxes, and knows nothing else."""
