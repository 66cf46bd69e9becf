"""Other contracts from the same readings, published beside the own topics."""
