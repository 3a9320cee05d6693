"""Plain PyTorch: a linear model under DistributedDataParallel."""

import os

import torch
import torch.distributed as dist

dist.init_process_group("gloo")
model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(4, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(5):
    optimizer.zero_grad()
    model(torch.full((8, 4), float(dist.get_rank() + 1))).pow(2).mean().backward()
    optimizer.step()
if dist.get_rank() == 0:
    with open("/output/world_size.txt", "w") as file:
        file.write(str(dist.get_world_size()))
print("rank", dist.get_rank(), "of", dist.get_world_size(), "on", os.uname().nodename)
dist.destroy_process_group()
