"""The live table: which rows changed, and the stream that carries them to every open page."""
