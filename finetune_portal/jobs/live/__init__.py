"""The live stream: which rows changed, and the connection that carries them to every open page."""
