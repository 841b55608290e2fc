"""The child process that trains a LoRA of FLUX.1-Kontext. Only what is in here imports torch.

It knows nothing of the engine but a folder with a request, and tells it all by lines of JSON.
"""
