"""What the clone and DVC's remote hold: a push that is whole, checks of both, and what nobody needs any more."""
