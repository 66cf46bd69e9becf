"""A simulated park: devices that really speak the wire, over paced ttys."""
