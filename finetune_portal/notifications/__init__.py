"""Tells people when a training is done, by e-mail or through Apprise."""
