"""The local engine: a server that speaks Segmind's fine-tuning API, with its own settings and database.

It shares nothing with the portal but the reader of environment variables, so the two are independent readings
of one contract (docs/engine.md).
"""
