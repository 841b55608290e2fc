"""The child processes that train a LoRA of FLUX.1-Kontext and run it. Only what is in here imports torch.

They know nothing of the engine but a folder, and tell it all by lines of JSON.
"""
