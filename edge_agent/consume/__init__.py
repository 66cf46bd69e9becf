"""What listens to gateways from the other side of the broker."""
