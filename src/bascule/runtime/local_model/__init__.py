"""The small model that answers on this machine when no service is configured."""
