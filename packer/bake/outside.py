"""The part of a build that people start: checks, the mirror, the namespaces, and what is kept in the end."""

import contextlib
import dataclasses
import datetime
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from packer.bake import accelerate, base, guest, mirror, record, sources
from packer.bake.errors import ImageError
from packer.bake.inside import Job
from packer.bake.run import ROOT, Progress, program

ROOM = 8 << 30
FULL = 256 << 20
STAGES = {"packages": ["--skip-tags", "release,cleanup"], "release": ["--tags", "release,cleanup"]}
# What the packages' stage is made of, beside the base: these, and the playbook's roles with their plugins.
INPUTS = ["ansible/ansible.cfg", "ansible/playbooks/image.yml", "packer/ka.pkr.hcl", "packer/targets"]
INPUTS += ["packer/bake/guest.py", "packer/bake/inside.py"]
LATER_ROLES = {"release", "cleanup"}


@dataclasses.dataclass(frozen=True)
class Wish:
    """What somebody asked for on the command line."""

    source: str
    release: Path
    output: Path
    date: str
    refresh: bool
    from_scratch: bool
    ansible_playbook: str


def today() -> str:
    """The date, UTC."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def build(wish: Wish) -> dict[str, object]:
    """Bake the image; returns its manifest. Raises ImageError, and KeyboardInterrupt with all cleaned up."""
    output = wish.output.resolve()
    _preflight(wish, output)
    work = output / "work"
    with _alone(output):
        _forget_crashed()
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        progress = Progress(output / "log")
        progress.log.write_text("")
        try:
            return _build(wish, output, work, progress)
        finally:
            guest.forget_cgroups(str(os.getpid()))
            shutil.rmtree(work, ignore_errors=True)


def _build(wish: Wish, output: Path, work: Path, progress: Progress) -> dict[str, object]:
    release = record.release(wish.release)
    kept = mirror.Mirror(
        sources.find(), output / "mirror", wish.date, offline=wish.date != today(), fresh=wish.refresh
    )
    lists = kept.lists()
    if not lists and kept.offline:
        raise ImageError(f"{kept.trouble}: leave --date out, or name one of {kept.folder}.")
    if not lists:
        raise ImageError(f"No package lists: {kept.trouble}. {sources.HELP}")
    server = mirror.serve(kept, work / "socket")
    base_key = base.key(lists)
    disk = output / "base" / f"{base_key}.raw"
    stage = output / "stage" / f"{wish.source}-{_stage_key(base_key, release)}.raw"
    for path in (disk, stage):
        path.parent.mkdir(parents=True, exist_ok=True)
    if wish.from_scratch:
        disk.unlink(missing_ok=True)
        stage.unlink(missing_ok=True)
    accelerator = _accelerator(wish, progress)
    stages = [(str(work / "baked.raw"), "release", STAGES["release"])]
    reused = stage.exists()
    if reused:
        progress.say("packages: as they were baked before (same lists, same playbook)")
    else:
        stages.insert(0, (str(stage), "packages", STAGES["packages"]))
    job = Job(
        work=str(work),
        socket=str(work / "socket"),
        date=wish.date,
        archives=[[one.uri, list(one.suites)] for one in kept.archives],
        base=str(stage if reused else disk),
        source=wish.source,
        accelerator=accelerator,
        stages=stages,
        variables=release.variables(),
        ansible_playbook=wish.ansible_playbook,
    )
    _in_namespaces(job, kept, progress)
    server.shutdown()
    _keep_only(disk)
    _keep_only(stage)
    built = {
        "source": wish.source,
        "accelerator": accelerator,
        "packages_reused": reused,
        "archive_date": wish.date,
    }
    with progress.step("record", "what is in it: manifest, SBOM, size"):
        return record.write(work / "baked.raw", output, release, built, lists, progress)


def _in_namespaces(job: Job, kept: mirror.Mirror, progress: Progress) -> None:
    file = job.folder() / "job.json"
    file.write_text(json.dumps(dataclasses.asdict(job)))
    # Whatever ends this process, also kill -9, ends all that runs inside; mounts and loop devices go with it.
    command = [
        program("setpriv"),
        "--pdeathsig",
        "KILL",
        program("unshare"),
        "--mount",
        "--pid",
        "--net",
        "--ipc",
    ]
    command += ["--fork", "--kill-child", "--mount-proc", "--propagation", "private"]
    command += [sys.executable, "-m", "packer.bake.inside", str(file)]
    env = {**os.environ, "KA_IMAGE_BUILD": str(os.getpid()), "KA_IMAGE_BEGUN": str(progress.begun)}
    running = subprocess.Popen(command, cwd=ROOT, env=env, start_new_session=True, stdin=subprocess.DEVNULL)
    try:
        code = running.wait()
    except BaseException:
        running.kill()
        running.wait()
        raise
    with contextlib.suppress(OSError, ValueError):
        progress.seconds.update(json.loads((job.folder() / "seconds.json").read_text()))
    if code != 0 and shutil.disk_usage(job.folder()).free < FULL:
        # a guest sees no more than a disk that fails
        raise ImageError(f"The disk is full ({job.folder()}): free some gigabytes. Nothing half done stays.")
    if code != 0:
        hint = f" (the mirror's last trouble: {kept.trouble})" if kept.trouble else ""
        raise ImageError(f"The image was not baked; the reason is above{hint}.")


def _preflight(wish: Wish, output: Path) -> None:
    if os.geteuid() != 0:
        raise ImageError(
            "Baking needs root: it makes a Debian root, namespaces and a mount. Run it with sudo."
        )
    output.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(output).free
    if free < ROOM:
        raise ImageError(
            f"{output} has {free >> 30} GB free; baking needs {ROOM >> 30}. Free some (make clean)."
        )
    if not (ROOT / "ansible/playbooks/image.yml").exists():
        raise ImageError("ansible/playbooks/image.yml is missing: this is not a whole copy of the project.")
    if wish.date > today():
        raise ImageError(f"{wish.date} is in the future.")


@contextlib.contextmanager
def _alone(output: Path) -> Iterator[None]:
    with (output / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ImageError(
                f"Another build is running in {output}: wait for it, or give --output."
            ) from None
        yield


def _forget_crashed() -> None:
    for own in guest.CGROUPS.glob(f"**/{guest.NAME}-*"):
        build = own.name.rpartition("-")[2]
        if build.isdigit() and not Path("/proc", build).exists():
            guest.forget_cgroups(build)


def _accelerator(wish: Wish, progress: Progress) -> str:
    if wish.source != "qemu":
        return "none"
    accelerator, why = accelerate.choose()
    progress.say(f"{'KVM' if accelerator == 'kvm' else 'emulation'}: {why}")
    return accelerator


def _stage_key(base_key: str, release: record.Release) -> str:
    digest = hashlib.sha256(f"{base_key} {release.public_key}".encode())
    for path in _inputs():
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _inputs() -> list[Path]:
    playbook = (ROOT / "ansible/playbooks/image.yml").read_text()
    roles = set(re.findall(r"role: (\w+)", playbook)) - LATER_ROLES
    found = set[Path]()
    for name in [*INPUTS, *(f"ansible/roles/{role}" for role in roles)]:
        top = ROOT / name
        found |= {top} if top.is_file() else {path for path in top.rglob("*") if path.is_file()}
    tasks = "".join(path.read_text() for path in found if path.suffix == ".yml")
    for plugin in (ROOT / "ansible/plugins").glob("*/*.py"):
        if re.search(rf"^\s+{plugin.stem}:", tasks, re.MULTILINE):
            found.add(plugin)
    return sorted(path for path in found if "__pycache__" not in path.parts)


def _keep_only(path: Path) -> None:
    """Older ones of the same kind are of no use any more: their lists or playbook are gone."""
    kind = path.name.split("-")[0] if "-" in path.name else ""
    for other in path.parent.glob(f"{kind}*.raw"):
        if other != path:
            other.unlink()


def on_terminate() -> None:
    """A polite kill is treated as Ctrl-C."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
