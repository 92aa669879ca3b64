"""Answering pictures with an exported model."""
