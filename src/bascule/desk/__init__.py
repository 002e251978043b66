"""Where questions wait for the operator."""
