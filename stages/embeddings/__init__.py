"""What a frozen network sees in pictures, and what follows from it without training a network."""
