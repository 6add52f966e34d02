"""OpenAI's own packages, unmodified, against a served Privity."""
