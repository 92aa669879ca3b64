"""Prepared pictures in tar files: encode, pack, read, decode, batch."""
