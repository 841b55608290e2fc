"""The endpoints of docs/provider-api.md, and the webhook endpoints that the vendor's SDK knows."""
