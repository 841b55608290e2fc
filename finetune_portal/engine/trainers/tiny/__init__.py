"""Make the tiny Kontext model in `model/`, with which trainings are tried and tested.

`python -m finetune_portal.engine.trainers.tiny` builds the classes of FLUX.1-Kontext in a tiny configuration,
draws image edits, and pretrains the model on them. Nothing is downloaded, and no photograph is used.
"""
