"""The files of the private Slurm (private_slurm.py), with places for names, ports and folders, and
which version of Slurm they are for."""

from __future__ import annotations

import os
import subprocess

SLURM_CONF = """
ClusterName=private
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
GresTypes=gpu
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={dbd}
AccountingStoragePass={folder}/munge.socket
AccountingStorageEnforce=associations,limits,qos
AccountingStorageTRES=gres/gpu
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobRequeue=1
MinJobAge=10
KillWait=5
ReturnToService=2
MpiDefault=none
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
NodeName=a100-[1-2] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{node1}-{node2}] CPUs=64 RealMemory={memory} Gres=gpu:a100:4 State=UNKNOWN
PreemptType=preempt/partition_prio
PreemptMode=CANCEL
MaxArraySize=1001
MaxJobCount=30000
PartitionName=a100_normal_q Nodes=a100-[1-2] Default=YES MaxTime=1-00:00:00 State=UP PriorityTier=10 PreemptMode=OFF
PartitionName=low Nodes=a100-[1-2] MaxTime=1-00:00:00 State=UP PriorityTier=1 PreemptMode=CANCEL
"""

SLURMDBD_CONF = """
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={dbd}
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={sql}
StorageUser=slurm
StoragePass={password}
StorageLoc=slurm_acct
PidFile={folder}/slurmdbd.pid
LogFile={folder}/slurmdbd.log
"""

PROFILE = """
kind: slurm
partition: a100_normal_q
account: llmalignment
gpu_type: a100
cpus_per_node: 64
memory_gb_per_node: {memory_gb}
gpus_per_node: 4
max_minutes: 1440
"""

WITHOUT_CGROUPS = (23, 11)
"""From this version on slurmd does not start without control groups unless it is told to."""


def version() -> tuple[int, ...]:
    """Of the Slurm that is installed here, such as (22, 5)."""
    said = subprocess.run(
        ["slurmctld", "-V"],
        env={**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    # "slurm-wlm 24.11.5"
    return tuple(int(part) for part in said.split()[-1].split(".")[:2])
