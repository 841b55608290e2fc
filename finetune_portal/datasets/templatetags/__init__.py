"""How a job's state looks."""
