"""The processes that train one model together: sums over them, and parameters cut into shards
(FSDP2).

With one process nothing is cut and every function is the identity, so the policy is written once.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor, distribute_tensor


@dataclass(frozen=True)
class World:
    """This process among ``size``."""

    device: torch.device
    index: int = 0
    size: int = 1
    sharded: bool = False
    """Whether parameters are cut; those of one process alone only to rest in host memory. vLLM
    makes a process group in any case."""

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Element by element over all processes; CPU tensors."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def largest(self, value: float) -> float:
        """The maximum over all processes."""
        found = torch.tensor(value, dtype=torch.float64)
        if self.size > 1:
            dist.all_reduce(found, op=dist.ReduceOp.MAX)
        return float(found)

    def same(self, value: int) -> bool:
        """Whether all processes hold the same whole number below 2^53."""
        # Largest and smallest are both this one.
        return self.largest(value) == value == -self.largest(-value)

    def full(self, tensor: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """The whole tensor on this device; every process must ask in the same order."""
        tensor = tensor.detach()
        if not isinstance(tensor, DTensor):
            return tensor.to(dtype)
        # Cast and moved before it travels: half the bytes, and NCCL instead of Gloo for shards that
        # rest in host memory.
        local = tensor.to_local().to(self.device, dtype)
        return like(tensor, local, mesh_device=self.device).full_tensor()

    def shard(self, module: torch.nn.Module, layers: list[torch.nn.Module], offload: bool) -> None:
        """Cut the parameters of ``module`` over the processes, layer by layer; on a GPU the passes
        run in bfloat16.

        With ``offload`` the shards, their gradients and the optimizer rest in host memory.
        """
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import CPUOffloadPolicy, MixedPrecisionPolicy, fully_shard

        kind: dict[str, Any] = {"mesh": init_device_mesh(self.device.type, (self.size,))}
        if self.device.type == "cuda":
            # Gradients are added up over processes in float32: bfloat16 would round every sum.
            kind["mp_policy"] = MixedPrecisionPolicy(
                param_dtype=torch.bfloat16, reduce_dtype=torch.float32
            )
        if offload:
            kind["offload_policy"] = CPUOffloadPolicy()
        # The layers first: the call on the whole module then takes what is left (embeddings, head,
        # last norm). Those stay gathered after the forward pass, as the backward pass begins with
        # the head.
        for layer in layers:
            fully_shard(layer, **kind)
        fully_shard(module, reshard_after_forward=False, **kind)


def join(device: torch.device, index: int, size: int, store: Path) -> World:
    """Meet the other processes over a file in the job's own temporary folder: no port that another
    job could have.

    The variables are what vLLM's external launcher reads; each process sees one GPU, its number 0.
    """
    os.environ |= {"RANK": str(index), "WORLD_SIZE": str(size), "LOCAL_RANK": "0"}
    # NCCL has no CPU tensors, and the sums of metrics and Gramians are on the CPU.
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, init_method=f"file://{store}", rank=index, world_size=size)
    return World(device, index, size, sharded=True)


def local(tensor: torch.Tensor) -> torch.Tensor:
    """This process's shard, or the tensor itself."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def like(
    parameter: torch.Tensor, shard: torch.Tensor, mesh_device: torch.device | None = None
) -> Any:
    """A shard as a tensor cut like ``parameter``."""
    if not isinstance(parameter, DTensor):
        return shard
    mesh = parameter.device_mesh
    if mesh_device is not None and mesh.device_type != mesh_device.type:
        from torch.distributed.device_mesh import init_device_mesh

        mesh = init_device_mesh(mesh_device.type, (mesh.size(),))
    return DTensor.from_local(
        shard,
        mesh,
        parameter.placements,
        # Without a collective that compares shapes over processes: they were cut alike.
        run_check=False,
        shape=parameter.shape,
        stride=parameter.stride(),
    )


def cut(parameter: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
    """A whole tensor cut like ``parameter``."""
    if not isinstance(parameter, DTensor):
        return whole.to(parameter.device)
    return distribute_tensor(
        whole.to(parameter.device_mesh.device_type), parameter.device_mesh, parameter.placements
    )
