"""Programs that measure what the figures in docs/performance.md come from. ``make bench`` runs them all."""
