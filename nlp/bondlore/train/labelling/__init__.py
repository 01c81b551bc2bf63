"""What comes before training: agreement between annotators, conversion, checks, which articles to label next."""
