"""The records in which conversations and turn logs are stored, in versioned formats."""
