"""Tell people when a training ends, by e-mail or through Apprise."""
