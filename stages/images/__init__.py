"""Pictures: decode, turn upright, letterbox, hash, judge quality."""
