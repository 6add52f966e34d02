"""``/docs``: the interactive reference of the API."""
