"""The command `tools/lab`."""

from __future__ import annotations

import argparse
import errno
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from tests.lab import addresses, bench, creation, image, requirements, topology
from tests.lab.errors import LabError, Unusable
from tests.lab.lab import Lab

Action = Callable[[argparse.Namespace], int]
EPILOG = """Files of a lab are in build/lab/NAME (KA_LAB_DIR names another folder for all labs), the image is
build/image/knowledge-assistant.raw (or KA_LAB_IMAGE, or --image). See docs/how-to/lab.md."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code: 0 done, 1 it didn't work, 2 asked for wrongly, 130 interrupted."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        chosen = _parser().parse_args(arguments)
        return int(chosen.action(chosen))
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        print("lab: interrupted.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"lab: {_sentence(error)}", file=sys.stderr)
        return 1


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _sentence(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    if error.errno == errno.ENOSPC:
        return f"The disk is full{where}: make room, then try again."
    return f"{error.strerror or error}{where}."


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tools/lab", description=_about(), epilog=EPILOG)
    parser.add_argument("--name", default="lab", help="which lab, if there are several (default: lab)")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    _add_lab_verbs(verbs)
    _add_host_verbs(verbs)
    _add_looking_verbs(verbs)
    _add_bench(verbs)
    return parser


def _about() -> str:
    return "A fleet of real systemd hosts on this machine, all from one image, in a network of their own."


def _verb(verbs: Any, name: str, action: Action, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text)
    parser.set_defaults(action=action)
    return parser


def _add_lab_verbs(verbs: Any) -> None:
    up = _verb(verbs, "up", _up, "Bring the fleet up; returns when one can log in to every host.")
    up.add_argument(
        "--hosts", default="full", help=f"hosts or fleets, with commas (default: full). {topology.KNOWN}"
    )
    up.add_argument(
        "--backend", choices=["nspawn", "qemu"], default="nspawn", help="for all hosts (default: nspawn)"
    )
    up.add_argument("--qemu", default="", metavar="HOSTS", help="these run in QEMU, with commas")
    up.add_argument("--image", help="raw disk to boot (default: what `make image` made)")
    up.add_argument("--closure", metavar="PATH", help="refuse an image that doesn't hold this store path")
    up.add_argument("--subnet", metavar="A.B.C.0/24", help="the lab's network (default: a free one)")
    down = _verb(
        verbs, "down", _down, "Clear the lab away, also after a crash. Data disks stay, unless --wipe."
    )
    down.add_argument("--wipe", action="store_true", help="remove the data disks too, for good")
    down.add_argument("--now", action="store_true", help="don't let the hosts shut down first")
    about = "Install the Debian packages that the lab needs, and let its hosts watch files."
    prepare = _verb(verbs, "prepare", _prepare, about)
    prepare.add_argument("--backend", choices=["nspawn", "qemu"], action="append", help="only for this one")


def _add_host_verbs(verbs: Any) -> None:
    texts = {
        "start": "Switch hosts on; returns when one can log in.",
        "stop": "Shut hosts down.",
        "kill": "Cut the power of hosts: every process ends at once.",
        "replace": "Put new hosts in the place of these, with the old data disks.",
        "cut": "Pull the network cables of hosts.",
        "heal": "Put the network cables of hosts back.",
        "freeze": "Let hosts stand still, like a paused machine.",
        "thaw": "Let frozen hosts run on.",
    }
    for name, text in texts.items():
        _verb(verbs, name, _on_hosts(name), text).add_argument("hosts", nargs="+", metavar="HOST")


def _add_looking_verbs(verbs: Any) -> None:
    status = _verb(verbs, "status", _status, "Show the hosts and how they are.")
    status.add_argument("--json", action="store_true", help="for scripts")
    ssh = _verb(verbs, "ssh", _ssh, "Open a session on a host, or run a command in it.")
    ssh.add_argument("host", metavar="HOST")
    ssh.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND")
    run = _verb(verbs, "exec", _exec, "Run a command on hosts, all at once; fails if it fails on one.")
    run.add_argument("hosts", metavar="HOST[,HOST...]|all")
    run.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND")
    run.add_argument("--timeout", type=float, default=600, help="seconds (default: 600)")
    logs = _verb(verbs, "logs", _logs, "Show a host's journal, also of a dead one.")
    logs.add_argument("host", metavar="HOST")
    logs.add_argument("--console", action="store_true", help="its console instead")
    logs.add_argument(
        "options", nargs=argparse.REMAINDER, metavar="-- OPTIONS", help="for journalctl, as in -- -p err"
    )
    _verb(verbs, "inventory", _inventory, "Print the lab as an Ansible inventory (YAML).")


def _add_bench(verbs: Any) -> None:
    parser = _verb(verbs, "bench", _bench, "Measure the lab in one made for this, and print a table.")
    parser.add_argument(
        "--fleets", nargs="+", default=["one", "serving", "full"], help="default: one serving full"
    )
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    parser.add_argument("--image", help="raw disk to boot (default: what `make image` made)")


def _lab(chosen: argparse.Namespace) -> Lab:
    return Lab.named(chosen.name)


def _words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def _teller() -> creation.Say:
    begun = time.monotonic()
    return lambda text: print(f"[{time.monotonic() - begun:5.1f} s] {text}", file=sys.stderr, flush=True)


def _up(chosen: argparse.Namespace) -> int:
    lab, plans, say = _lab(chosen), topology.choose(_words(chosen.hosts)), _teller()
    names = [plan.name for plan in plans]
    in_qemu = (
        names
        if chosen.backend == "qemu"
        else [plan.name for plan in topology.choose_some(_words(chosen.qemu))]
    )
    if strangers := sorted(set(in_qemu) - set(names)):
        raise Unusable(f"--qemu names hosts that this lab doesn't have: {', '.join(strangers)}.")
    subnet = addresses.parse(chosen.subnet) if chosen.subnet else None
    requirements.need_root()
    disk = image.inspect(image.chosen(chosen.image), chosen.closure)
    creation.up(lab.place, plans, disk, qemu=in_qemu, subnet=subnet, say=say)
    say(f"{len(plans)} hosts are up; inventory: {lab.place.folder / 'inventory.yml'}")
    return 0


def _down(chosen: argparse.Namespace) -> int:
    say = _teller()
    grace = {"grace": 0.0} if chosen.now else {}
    found = creation.down(_lab(chosen).place, wipe=chosen.wipe, say=say, **grace)
    say("gone" if found else f"there was no lab '{chosen.name}'")
    return 0


def _prepare(chosen: argparse.Namespace) -> int:
    installed = requirements.prepare(set(chosen.backend or requirements.OF_BACKEND))
    print(f"Installed: {' '.join(installed)}" if installed else "Everything is there.")
    return 0


def _on_hosts(verb: str) -> Action:
    def act(chosen: argparse.Namespace) -> int:
        say, names = _teller(), dict.fromkeys(chosen.hosts)
        late = getattr(_lab(chosen), verb)(*names)
        say(f"{verb}: {', '.join(names)}")
        if late:
            say(f"did not shut down in time and were switched off: {', '.join(late)}")
        return 0

    return act


def _status(chosen: argparse.Namespace) -> int:
    found = _lab(chosen).status()
    if chosen.json:
        print(json.dumps(found, indent=2))
        return 0
    print(
        f"{found['name']}: {found['subnet']}, up for {found['seconds_up']:.0f} s, closure {found['closure']}"
    )
    if not found["complete"]:
        print("It is not complete: `up` is at work, or was stopped; then `down` clears it away.")
    for host in found["hosts"]:
        memory = f"{host['memory_bytes'] >> 20} MiB" if host["memory_bytes"] is not None else "-"
        print(
            f"  {host['name']:<11} {host['address']:<15} {host['backend']:<6} {host['state']:<6} "
            f"{host['network']:<9} ssh {'yes' if host['ssh'] else 'no':<3} {memory:>9}"
        )
    return 0


def _ssh(chosen: argparse.Namespace) -> int:
    words = _lab(chosen).ssh_command(chosen.host, *_command(chosen.command))
    sys.stdout.flush()
    os.execvp(words[0], words)


def _exec(chosen: argparse.Namespace) -> int:
    lab, words = _lab(chosen), _command(chosen.command)
    if not words:
        raise Unusable("Give a command: `tools/lab exec HOST COMMAND`.")
    names = list(lab.record().hosts) if chosen.hosts == "all" else _words(chosen.hosts)
    results = lab.run_on(names, *words, timeout=chosen.timeout)
    for name, result in results.items():
        mark = f"{name}: " if len(results) > 1 else ""
        for stream, text in ((sys.stdout, result.stdout), (sys.stderr, result.stderr)):
            for line in text.splitlines():
                print(f"{mark}{line}", file=stream)
    return max(result.returncode for result in results.values())


def _logs(chosen: argparse.Namespace) -> int:
    lab = _lab(chosen)
    text = lab.console(chosen.host) if chosen.console else lab.journal(chosen.host, *_command(chosen.options))
    print(text, end="")
    return 0


def _inventory(chosen: argparse.Namespace) -> int:
    print(_lab(chosen).inventory(), end="")
    return 0


def _bench(chosen: argparse.Namespace) -> int:
    if chosen.rounds < 1:
        raise Unusable("--rounds has to be 1 or more.")
    print(
        bench.run(image.inspect(image.chosen(chosen.image)), chosen.fleets, chosen.rounds, _teller()), end=""
    )
    return 0


def _command(words: list[str]) -> list[str]:
    return words[1:] if words[:1] == ["--"] else words
