"""Article -> Tagging: sentences, windows, the model's runtime, the roll-up, batches of archives."""
