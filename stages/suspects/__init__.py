"""Which pictures a person should look at: probably mislabelled, near a training picture, novel."""
