"""Hi-Link's presence radars: one envelope and one set of orders, and a driver for each model."""
