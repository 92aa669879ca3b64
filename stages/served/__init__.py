"""What the exported model does to a picture before the network, in TensorFlow operations."""
