"""What operators get to see."""
