"""Which pictures show the same thing: candidates by perceptual hash, then thumbnails compared."""
