"""Plain Accelerate."""

import torch
from accelerate import Accelerator

accelerator = Accelerator(cpu=True)
model = torch.nn.Linear(4, 1)
model, optimizer = accelerator.prepare(model, torch.optim.SGD(model.parameters(), lr=0.1))
for _ in range(5):
    optimizer.zero_grad()
    accelerator.backward(model(torch.full((8, 4), float(accelerator.process_index + 1))).pow(2).mean())
    optimizer.step()
if accelerator.is_main_process:
    with open("/output/world_size.txt", "w") as file:
        file.write(str(accelerator.num_processes))
accelerator.end_training()
