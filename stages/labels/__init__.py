"""Labels: what classes.yaml and people's decisions say of every picture."""
