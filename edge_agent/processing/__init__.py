"""Pure steps between a reading's birth and its keeping: calibrate, judge, report on change."""
