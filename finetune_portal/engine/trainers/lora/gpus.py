"""Report the memory of each GPU that PyTorch sees, in bytes, as one line of JSON."""

from __future__ import annotations

import torch

from finetune_portal.engine.trainers.children import emit

if __name__ == "__main__":
    count = torch.cuda.device_count()
    memory = [torch.cuda.get_device_properties(number).total_memory for number in range(count)]
    emit("gpus", memory=memory, torch=torch.__version__)
