"""The running agent: composition root, the tasks it supervises, and what of it is told to systemd."""
