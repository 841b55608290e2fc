"""What every page shares. Knows no app."""
