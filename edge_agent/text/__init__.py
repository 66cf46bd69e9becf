"""What people read: in their language, values and units as they are written, what comes first."""
