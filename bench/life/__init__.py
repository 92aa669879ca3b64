"""A simulated life: two people, two machines, a remote, ten weeks, and commands that are killed at random moments."""
