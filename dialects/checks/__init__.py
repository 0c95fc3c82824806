"""What makes a function valid: the replays of its tiles, its queues, its halves, its off-chip addresses."""
