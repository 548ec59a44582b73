"""Cases of `verdicts.py`: models that fail by construction, and healthy models."""
