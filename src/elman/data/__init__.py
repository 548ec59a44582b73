"""From files to batches: documents, the units they are made of, and the windows and batches a model is trained on."""
