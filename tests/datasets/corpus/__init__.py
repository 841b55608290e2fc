"""Archives made by code: honest ones as every common zipper writes them, hostile ones as a trap would."""
