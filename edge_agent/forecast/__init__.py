"""What a configuration will cost: room in the outbox, the card's life, traffic, time on each bus."""
