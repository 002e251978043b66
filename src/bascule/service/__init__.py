"""What can be asked of a gateway, whatever surface asks: the port every verb, page and message goes through."""
