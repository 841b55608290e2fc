"""A fake of Replicate's HTTP API, with a ledger of jobs and money.

`with FakeReplicate() as replicate:` of `tests/replicate/server.py` serves it, `switches.py` has what can go
wrong, and `ledger.py` the jobs. It was written from docs/provider-replicate.md and shares no code with
`finetune_portal/providers/replicate/`, so that each judges the other. Knows no Django.
"""
