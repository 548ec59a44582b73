"""What `verdicts.py` counts: models that are ill by construction, models that are well, and what the doctor says."""
