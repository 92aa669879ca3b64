"""What a team learns from the answers of its gateway: `make usage`."""
