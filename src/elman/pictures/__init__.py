"""Pictures of series: what a model believes, drawn over what was seen (matplotlib, imported late)."""
