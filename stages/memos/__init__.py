"""What earlier runs computed, kept outside of the pipeline: losing it costs time, never another result."""
