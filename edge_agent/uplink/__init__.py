"""Send what is kept to a broker: live readings first, the backlog beside them, until acknowledged."""
