"""A fake of fal's HTTP API, with a ledger of jobs and money.

`with FakeFal() as fal:` of `tests/fal/server.py` serves it, `switches.py` has what can go wrong, and
`ledger.py` the jobs. It shares no code with `finetune_portal/providers/fal/`, so that each judges the
other. Knows no Django.
"""
