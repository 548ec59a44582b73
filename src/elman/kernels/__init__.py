"""Functions over whole sequences: reference and native side by side, one recurrence a file."""
