"""Tell people when a job ends, by e-mail or through Apprise."""
