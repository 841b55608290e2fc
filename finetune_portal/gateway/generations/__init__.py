"""Run models by the API: `POST /v1/<slug>` and `/v2/<slug>`, their results, and pictures to run them on."""
