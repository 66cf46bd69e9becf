"""What ``edge-agent doctor`` looks at: each check a function that returns what it found, with the remedy."""
