"""One task per device: hear or ask, decode, stamp, and hand on. The only place that stamps a reading."""
