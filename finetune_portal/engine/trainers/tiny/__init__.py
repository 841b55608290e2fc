"""The tiny Kontext model: how it is made. What it is made into lies in `model/`.

`python -m finetune_portal.engine.trainers.tiny` draws pictures, builds the classes of FLUX.1-Kontext in a
tiny configuration, and pretrains them on the drawn edits. Nothing is downloaded, no photograph is used.
"""
