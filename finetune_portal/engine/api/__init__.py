"""The endpoints of the API page, and the webhook endpoints that the vendor's SDK knows."""
