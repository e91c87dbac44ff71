"""The part of a build that runs in namespaces of its own: no network but the mirror, and gone with it.

Started by outside.py as `python3 -m packer.bake.inside JOB`, JOB being a JSON file with the fields of `Job`.
"""

import base64
import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from packer.bake import base, guest, mirror, sources
from packer.bake.errors import ImageError
from packer.bake.run import ROOT, Progress, output, program, write_json


@dataclasses.dataclass(frozen=True)
class Job:
    """What is to be built; paths are absolute.

    Each of `stages` is a disk to make, its name, and Ansible's arguments for it; it is made from the one
    before, the first from the base.
    """

    work: str
    socket: str
    date: str
    archives: list[list[Any]]
    base: str
    source: str
    accelerator: str
    stages: list[tuple[str, str, list[str]]]
    variables: dict[str, str]
    ansible_playbook: str

    def folder(self) -> Path:
        """The build's own folder."""
        return Path(self.work)


class Build:
    """One run through the stages of a job."""

    def __init__(self, job: Job, progress: Progress) -> None:
        self.job = job
        self.progress = progress
        self.work = job.folder()
        output(["ip", "link", "set", "lo", "up"])
        self.port = mirror.relay(Path(job.socket), "0.0.0.0")  # noqa: S104 -- a network namespace with nothing else
        self.archives = [sources.Archive(uri, tuple(suites)) for uri, suites in job.archives]

    def run(self) -> None:
        """Base disk, if it is not there, then each stage."""
        image = Path(self.job.base)
        if not image.exists():
            base.make(
                image, self.archives, f"http://127.0.0.1:{self.port}", self.job.date, self.work, self.progress
            )
        for target, name, tags in self.job.stages:
            made = self.work / "stage.raw"
            made.unlink(missing_ok=True)
            if self.job.source == "qemu":
                self.bake_qemu(image, made, name, tags)
            else:
                self.bake_null(image, made, name, tags)
            # what the guest freed or wrote as zeroes takes no space
            self.progress.call([program("fallocate"), "--dig-holes", str(made)])
            image = Path(target)
            made.replace(image)

    def bake_qemu(self, source: Path, made: Path, name: str, tags: list[str]) -> None:
        """Packer boots a copy of the disk in QEMU."""
        key, public = self.new_key()
        console = self.work / f"console-{name}.log"
        arguments = [["-cpu", "max"], ["-device", "virtio-rng-pci"], ["-serial", f"file:{console}"]]
        for credential, text in guest.credentials(public, guest.DHCP).items():
            value = base64.b64encode(text.encode()).decode()
            arguments.append(["-smbios", f"type=11,value=io.systemd.credential.binary:{credential}={value}"])
        folder = self.work / "packer-output"
        shutil.rmtree(folder, ignore_errors=True)
        given = {"base_disk": str(source), "output_directory": str(folder), "qemu_arguments": arguments}
        given["accelerator"] = self.job.accelerator
        with self.progress.step(name, f"{name}: Packer, QEMU ({self.job.accelerator})"):
            self.packer("qemu", tags, key, given)
        (folder / "knowledge-assistant.raw").replace(made)

    def bake_null(self, source: Path, made: Path, name: str, tags: list[str]) -> None:
        """Packer reaches a systemd-nspawn host that runs on a copy of the disk."""
        key, public = self.new_key()
        with self.progress.step(name, f"{name}: Packer, systemd-nspawn"):
            self.progress.call(["cp", "--sparse=always", "--reflink=auto", str(source), str(made)])
            with guest.mounted(made, self.work / "mnt", "rw,discard,noinit_itable") as root:
                with guest.booted(root, guest.credentials(public, guest.STATIC), self.work, self.progress):
                    self.packer("null", tags, key, {})
                subprocess.run([program("fstrim"), str(root)], capture_output=True, check=False)

    def new_key(self) -> tuple[Path, str]:
        """An SSH key for one stage."""
        key = self.work / "key"
        for path in (key, key.with_suffix(".pub")):
            path.unlink(missing_ok=True)
        output(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "build", "-f", str(key)])
        return key, key.with_suffix(".pub").read_text()

    def packer(self, target: str, tags: list[str], key: Path, given: dict[str, Any]) -> None:
        """Run Packer with the target's settings and those that were found out."""
        bake = sources.stanzas(sources.through(self.archives, f"http://{guest.HOST}:{self.port}"))
        variables = self.work / "ansible-variables.json"
        write_json(variables, {**self.job.variables, "packages_sources": bake})
        settings = self.work / "settings.pkrvars.json"
        arguments = [*tags, "--extra-vars", f"@{variables}"]
        write_json(
            settings,
            {
                "ansible_playbook": self.job.ansible_playbook,
                "ansible_arguments": arguments,
                "ssh_private_key_file": str(key),
                **given,
            },
        )
        command = [program("packer"), "build", "-color=false", f"-only={target}.ka"]
        command += [f"-var-file=packer/targets/{target}.pkrvars.hcl", f"-var-file={settings}", "packer"]
        self.follow(command)

    def follow(self, command: list[str]) -> None:
        """Run Packer and say what Ansible is at."""
        home = self.work / "home"
        home.mkdir(exist_ok=True)
        env = {**os.environ, "HOME": str(home), "TMPDIR": str(self.work), "CHECKPOINT_DISABLE": "1"}
        env |= {
            "PACKER_CACHE_DIR": str(home / "packer"),
            "ANSIBLE_HOME": str(home / "ansible"),
            "PACKER_NO_COLOR": "1",
            "PYTHONUNBUFFERED": "1",
        }
        with self.progress.log.open("ab") as log:
            begun = log.seek(0, os.SEEK_END)
            running = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env=env,
            )
            for line in running.stdout or ():
                log.write(line)
                log.flush()
                self.tell(line.decode(errors="replace"))
        if running.wait() != 0:
            raise ImageError(self.progress.failure("Packer", begun))

    def tell(self, line: str) -> None:
        """Packer's and Ansible's steps, one line each."""
        found = re.search(r"TASK \[(.*?)\]|==> \S+: (Connected to SSH|Gracefully halting)", line)
        if found:
            self.progress.say("  " + (found[1] or found[2]))


def main() -> int:
    """Run the job; the last line that people see is what went wrong."""
    job = Job(**json.loads(Path(sys.argv[1]).read_text()))
    progress = Progress(job.folder().parent / "log")
    try:
        Build(job, progress).run()
    except ImageError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        write_json(job.folder() / "seconds.json", progress.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
