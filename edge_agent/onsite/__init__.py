"""What an installer does at a cabinet: scan, read once, listen, record, replay. Only the work, no console."""
