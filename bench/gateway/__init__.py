"""Measure the gateway: one module for each row of the table of what is measured."""
