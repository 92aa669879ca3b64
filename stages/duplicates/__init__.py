"""Which pictures show the same: candidates by perceptual hash, then thumbnails compared."""
