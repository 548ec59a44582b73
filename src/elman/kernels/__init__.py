"""Functions over whole sequences, each with a reference and a native implementation."""
