"""A real Slurm of one's own on this machine: munge, MariaDB, slurmdbd, slurmctld and two nodes
whose A100s are counted, not there.

    python -m tests.support.private_slurm        starts one and keeps it until Ctrl-C; prints the profile to use

Needs root and the Debian packages slurm-wlm, slurmdbd, munge and mariadb-server. Everything lies in
one temporary folder.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support.slurm_files import (
    PROFILE,
    SLURM_CONF,
    SLURMDBD_CONF,
    WITHOUT_CGROUPS,
    version,
)

PROGRAMS = ("munged", "mariadbd", "slurmdbd", "slurmctld", "slurmd", "sbatch", "sacctmgr")
START_SECONDS = 60.0
ETC = Path("/etc/slurm")


def missing() -> str | None:
    """Why a private Slurm cannot be started here, or None."""
    absent = [
        name
        for name in PROGRAMS
        if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None
    ]
    if absent:
        return (
            f"the private Slurm needs {', '.join(absent)} (Debian packages slurm-wlm slurmdbd "
            "munge mariadb-server)"
        )
    if os.geteuid() != 0:
        return "the private Slurm needs root"
    if ETC.is_dir() and (ETC / "slurm.conf").exists() and not (ETC / "slurm.conf").is_symlink():
        return f"this machine has a Slurm of its own ({ETC / 'slurm.conf'})"
    if other_session():
        return (
            f"another private Slurm runs here ({(ETC / 'slurm.conf').readlink().parent}); "
            "wait for it to end"
        )
    return None


def other_session() -> bool:
    """Whether the link in /etc/slurm belongs to a controller that is alive; a killed session leaves
    a link behind that may be taken."""
    link = ETC / "slurm.conf"
    if not link.is_symlink():
        return False
    try:
        pid = int((link.readlink().parent / "slurmctld.pid").read_text())
        return Path(f"/proc/{pid}/comm").read_text().strip() == "slurmctld"
    except (FileNotFoundError, ValueError):
        return False


def free_ports(count: int) -> list[int]:
    """Ports in a row that nobody listens on."""
    for first in range(17000 + os.getpid() % 1000, 60000, count):
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return list(range(first, first + count))
    raise RuntimeError("no free ports")


class PrivateSlurm:
    """Starts everything in order; ``stop`` ends what it started and nothing else."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-"))
        self.folder.chmod(0o755)
        self.profile = self.folder / "private.yaml"
        self.processes: list[subprocess.Popen[bytes]] = []
        """What was started and is to be there; ``end`` takes a program out."""
        self.spare_port = 0
        """Free for one more node, of a ``site``."""
        self.outputs: dict[int, Path] = {}
        """Where each program's output goes, by process id."""

    def start(self) -> PrivateSlurm:
        """munged, MariaDB, slurmdbd, slurmctld, account, nodes."""
        ctld, dbd, sql, node1, node2, self.spare_port = free_ports(6)
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
        values = {
            "folder": self.folder,
            "host": socket.gethostname().partition(".")[0],
            "ctld": ctld,
            "dbd": dbd,
            "sql": sql,
            "node1": node1,
            "node2": node2,
            "memory": memory,
            "memory_gb": memory // 1024,
            "password": secrets.token_hex(8),
        }
        for name in ("state", "spool-a100-1", "spool-a100-2"):
            (self.folder / name).mkdir()
        (self.folder / "slurm.conf").write_text(SLURM_CONF.format(**values))
        (self.folder / "gres.conf").write_text("Name=gpu Type=a100 Count=4 File=/dev/tty[0-3]\n")
        if version() >= WITHOUT_CGROUPS:
            # Before, a slurmd that tracks processes by itself does not look for control groups.
            (self.folder / "cgroup.conf").write_text("CgroupPlugin=disabled\n")
        (self.folder / "slurmdbd.conf").write_text(SLURMDBD_CONF.format(**values))
        (self.folder / "slurmdbd.conf").chmod(0o600)
        self.profile.write_text(PROFILE.format(**values))
        os.environ["SLURM_CONF"] = str(self.folder / "slurm.conf")
        os.environ["PATH"] += ":/usr/sbin:/sbin"
        # Slurm's programs drop SLURM_* from a job's environment, so jobs find it in the usual
        # place.
        ETC.mkdir(exist_ok=True)
        for name in ("slurm.conf", "gres.conf"):
            (ETC / name).unlink(missing_ok=True)
            (ETC / name).symlink_to(self.folder / name)
        self.munge()
        self.database(sql, str(values["password"]))
        self.daemon("slurmdbd", "-D")
        self.wait("slurmdbd", ["sacctmgr", "-i", "-n", "show", "cluster"])
        self.command("sacctmgr", "-i", "add", "cluster", "private", check=False)
        self.command("sacctmgr", "-i", "add", "account", "llmalignment", "cluster=private")
        self.command(
            "sacctmgr",
            "-i",
            "add",
            "user",
            getpass.getuser(),
            "account=llmalignment",
            "cluster=private",
        )
        self.daemon("slurmctld", "-D", "-i")
        for node in ("a100-1", "a100-2"):
            self.daemon("slurmd", "-D", "-N", node)
        self.wait(
            "nodes",
            [
                "sbatch",
                "--test-only",
                "--account=llmalignment",
                "--gres=gpu:a100:4",
                "--nodes=2",
                "--wrap=true",
            ],
        )
        return self

    @contextlib.contextmanager
    def site(
        self, changes: dict[str, str], more: str, gres: str, nodes: Sequence[str]
    ) -> Iterator[None]:
        """Another site for as long as the block takes: the daemons are started anew with another
        configuration, and then with their own again. No job may be there.

        Args:
            changes: values of keys of slurm.conf.
            more: further lines of slurm.conf; ``{host}`` and ``{port}`` are for one more node here.
            gres: all of gres.conf.
            nodes: further nodes that run here.
        """
        conf, types = self.folder / "slurm.conf", self.folder / "gres.conf"
        before = conf.read_text(), types.read_text()
        lines = [line for line in before[0].splitlines() if line.partition("=")[0] not in changes]
        lines += [f"{key}={value}" for key, value in changes.items()]
        host = socket.gethostname().partition(".")[0]
        lines += more.format(host=host, port=self.spare_port).splitlines()
        conf.write_text("\n".join(lines) + "\n")
        types.write_text(gres)
        own = ("a100-1", "a100-2")
        try:
            self.restart((*own, *nodes))
            yield
        finally:
            conf.write_text(before[0])
            types.write_text(before[1])
            self.restart(own)

    def restart(self, nodes: Sequence[str]) -> None:
        """The controller and these nodes, started anew."""
        running = [p.args for p in self.processes if isinstance(p.args, tuple)]
        for program in [args[0] for args in running if args[0] in ("slurmd", "slurmctld")]:
            self.end(str(program))
        self.daemon("slurmctld", "-D", "-i")
        for node in nodes:
            (self.folder / f"spool-{node}").mkdir(exist_ok=True)
            self.daemon("slurmd", "-D", "-N", node)
        idle = f"sinfo --noheader --Node --nodes={','.join(nodes)} --format='%N %t' | sort -u"
        count = f'test "$({idle} | grep -c " idle")" = {len(nodes)}'
        self.wait("nodes", ["sh", "-c", count])

    def runs_here(self, name: str) -> bool:
        """Whether a process of this name belongs to this Slurm: another one on the machine counts
        its jobs from 1 as well."""
        ours = f"SLURM_CONF={self.folder}/slurm.conf".encode()
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it has ended, or is somebody else's
                words = (folder / "cmdline").read_bytes().split(b"\0")
                environment = (folder / "environ").read_bytes().split(b"\0")
                if words[0] == name.encode() and ours in environment:
                    return True
        return False

    def start_again_now(self, job_id: str) -> None:
        """Let a requeued job start without the two minutes that Slurm waits.

        A node cannot start a job while what ran of it before is being cleaned up there, so that is
        waited for.
        """
        shown = subprocess.run(
            ["scontrol", "--oneliner", "show", "job", job_id],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        step = f"slurmstepd: [{shown.split()[0].removeprefix('JobId=')}.batch]"
        deadline = time.monotonic() + 60
        while self.runs_here(step):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{step} is still there")
            time.sleep(0.2)
        # slurmd of 24.11 refuses what was granted in the second in which the start before ended.
        time.sleep(1.0)
        subprocess.run(["scontrol", "update", f"jobid={job_id}", "StartTime=now"], check=True)

    def munge(self) -> None:
        """munged with a key, socket and files of its own."""
        owner = pwd.getpwnam("munge")
        home = self.folder / "munge"
        home.mkdir(mode=0o700)
        key = home / "munge.key"
        key.write_bytes(secrets.token_bytes(128))
        key.chmod(0o400)
        for path in (home, key):
            os.chown(path, owner.pw_uid, owner.pw_gid)
        # munged refuses a socket folder that others may write to; ours belongs to root.
        self.daemon(
            "munged",
            "--foreground",
            "--force",
            f"--socket={self.folder}/munge.socket",
            f"--key-file={key}",
            f"--log-file={home}/log",
            f"--pid-file={home}/pid",
            f"--seed-file={home}/seed",
        )
        self.wait("munged", ["munge", "-n", f"--socket={self.folder}/munge.socket"])

    def database(self, port: int, password: str) -> None:
        """MariaDB bound to this machine, with one user for slurmdbd."""
        data = self.folder / "mysql"
        self.command(
            "mariadb-install-db",
            "--no-defaults",
            f"--datadir={data}",
            "--user=root",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        )
        self.daemon(
            "mariadbd",
            "--no-defaults",
            f"--datadir={data}",
            "--user=root",
            f"--socket={data}/sock",
            f"--port={port}",
            "--bind-address=127.0.0.1",
            f"--pid-file={data}/pid",
            "--innodb-lock-wait-timeout=900",
        )
        client = ["mariadb", "--no-defaults", f"--socket={data}/sock", "-u", "root", "-e"]
        self.wait("mariadbd", [*client, "select 1"])
        grant = (
            f"create user slurm@'127.0.0.1' identified by '{password}'; grant all on *.* to "
            "slurm@'127.0.0.1'; "
        )
        self.command(
            *client,
            grant + f"create user slurm@localhost identified by '{password}'; grant all on *.* to "
            "slurm@localhost",
        )

    def daemon(self, *arguments: str) -> None:
        """Start one program that stays; its output goes into a file of the folder."""
        path = self.folder / f"{arguments[0]}-{len(self.outputs)}.out"
        with path.open("wb") as out:
            process = subprocess.Popen(
                arguments,
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self.processes.append(process)
        self.outputs[process.pid] = path

    def end(self, name: str) -> list[str]:
        """End the newest program of that name; returns how it was started."""
        process = next(
            p
            for p in reversed(self.processes)
            if isinstance(p.args, tuple) and p.args[0] == name and p.poll() is None
        )
        process.terminate()
        process.wait(timeout=20)
        self.processes.remove(process)
        return (
            [str(argument) for argument in process.args] if isinstance(process.args, tuple) else []
        )

    def command(self, *arguments: str, check: bool = True) -> None:
        """Run one program to its end."""
        result = subprocess.run(arguments, capture_output=True, text=True, timeout=120)
        if check and result.returncode:
            raise RuntimeError(f"{' '.join(arguments)}: {result.stdout}{result.stderr}")

    def wait(self, what: str, question: list[str]) -> None:
        """Until a question is answered with success. RuntimeError quotes a program that has died
        in the meantime."""
        deadline = time.monotonic() + START_SECONDS
        while (result := subprocess.run(question, capture_output=True, text=True)).returncode:
            for process in self.processes:
                if process.poll() is not None:
                    raise RuntimeError(f"{what} does not start: {self.last_word(process)}")
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"{what} does not start: {result.stdout}{result.stderr} (see {self.folder})"
                )
            time.sleep(0.1)

    def last_word(self, process: subprocess.Popen[bytes]) -> str:
        """How a program of ours ended, and the last lines that it has left."""
        name = process.args[0] if isinstance(process.args, tuple) else str(process.args)
        code = process.wait()
        how = f"exit code {code}" if code >= 0 else f"signal {-code}"
        said = self.outputs[process.pid].read_text(errors="replace").split("\n")
        # Slurm's daemons write into their own files once they have read where these lie.
        own = self.folder / f"{name}.log"
        if own.is_file():
            said += own.read_text(errors="replace").split("\n")
        lines = [line.strip() for line in said if line.strip()]
        return f"{name} ended with {how}: {' / '.join(lines[-3:]) or 'it said nothing'}"

    def stop(self) -> None:
        """End what was started, newest first, and remove the folder."""
        for process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for name in ("slurm.conf", "gres.conf"):
            if (ETC / name).is_symlink() and (ETC / name).readlink() == self.folder / name:
                (ETC / name).unlink()
        os.environ.pop("SLURM_CONF", None)
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def started() -> Iterator[PrivateSlurm]:
    """A private Slurm that ends with the block. SystemExit says why there can be none."""
    if why := missing():
        raise SystemExit(why)
    slurm = PrivateSlurm()
    try:
        yield slurm.start()
    finally:
        slurm.stop()


def main() -> None:
    """Keep a private Slurm until Ctrl-C."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt), started() as slurm:
        print(
            f"export SLURM_CONF={slurm.folder}/slurm.conf ORCH_CLUSTER={slurm.profile}", flush=True
        )
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main()
