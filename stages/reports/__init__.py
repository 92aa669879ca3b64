"""Tables and plots of the metrics, and the gate's verdict."""
