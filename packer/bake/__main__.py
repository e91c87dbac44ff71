"""The command behind tools/image.sh."""

import argparse
import json
import re
import sys
from pathlib import Path

from packer.bake import audit, budget, compare, disk, outside, updates
from packer.bake.errors import ImageError
from packer.bake.run import ROOT


def main() -> int:
    """0 when done, 1 when something went wrong, 2 when the command line does, 130 when stopped."""
    arguments = _parser().parse_args()
    outside.on_terminate()
    try:
        result: int = arguments.run(arguments)
    except ImageError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except OSError as error:
        name = f" ({error.filename})" if error.filename else ""
        sys.stderr.write(f"{error.strerror or error}{name}: nothing was put in place.\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(
            "\nStopped. What was half done is gone; the image from before, if any, is as it was.\n"
        )
        return 130
    return result


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tools/image.sh", description="Bake the machine image, or look at one."
    )
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    build = verbs.add_parser("build", help="bake the image (the default verb)")
    build.add_argument(
        "--source", choices=["qemu", "null"], default="qemu", help="null: systemd-nspawn, much faster"
    )
    build.add_argument(
        "--release", type=Path, default=ROOT / "build/release", help="folder made by tools/release.sh"
    )
    build.add_argument("--output", type=Path, default=ROOT / "build/image", metavar="DIR")
    build.add_argument(
        "--date", type=_date, default=outside.today(), help="package lists of this day (kept ones)"
    )
    build.add_argument("--refresh", action="store_true", help="today's package lists anew")
    build.add_argument("--from-scratch", action="store_true", help="make base and packages anew, too")
    build.add_argument("--ansible-playbook", default="ansible-playbook", help="the command")
    build.add_argument("--json", action="store_true", help="print the manifest")
    build.set_defaults(run=_build)

    check = verbs.add_parser("check", help="size and cleanness of an image against its manifest")
    check.add_argument("image", type=Path, nargs="?", default=ROOT / "build/image/knowledge-assistant.raw")
    check.set_defaults(run=_check)

    newer = verbs.add_parser("updates", help="whether Debian has newer packages than the image")
    newer.add_argument("image", type=Path, nargs="?", default=ROOT / "build/image/knowledge-assistant.raw")
    newer.set_defaults(run=_updates)

    two = verbs.add_parser("compare", help="file trees of two images: what differs (root)")
    two.add_argument("first", type=Path)
    two.add_argument("second", type=Path)
    two.add_argument("--json", action="store_true", help="all differences as JSON")
    two.set_defaults(run=_compare)
    return parser


def _date(text: str) -> str:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        raise argparse.ArgumentTypeError("a date is wanted, as 2026-01-31")
    return text


def _build(arguments: argparse.Namespace) -> int:
    wish = outside.Wish(
        source=arguments.source,
        release=arguments.release,
        output=arguments.output,
        date=arguments.date,
        refresh=arguments.refresh,
        from_scratch=arguments.from_scratch,
        ansible_playbook=arguments.ansible_playbook,
    )
    manifest = outside.build(wish)
    if arguments.json:
        sys.stdout.write(json.dumps(manifest, indent=2) + "\n")
    else:
        sys.stdout.write(f"{arguments.output / str(manifest['image'])}\n")
    return 0


def _check(arguments: argparse.Namespace) -> int:
    manifest = json.loads((arguments.image.parent / "manifest.json").read_text())
    audit.check(arguments.image, manifest["closure"]["path"])
    used = disk.usage(arguments.image).root
    budget.check(used)
    sys.stdout.write(f"clean; {used / 1e6:.0f} MB used\n")
    return 0


def _updates(arguments: argparse.Namespace) -> int:
    found = updates.missing(arguments.image)
    sys.stdout.write("\n".join(found or ["no newer packages"]) + "\n")
    return 1 if found else 0


def _compare(arguments: argparse.Namespace) -> int:
    differences = compare.images(arguments.first, arguments.second)
    if arguments.json:
        sys.stdout.write(json.dumps(differences, indent=2) + "\n")
    else:
        sys.stdout.write(compare.text(differences))
    return 0


if __name__ == "__main__":
    sys.exit(main())
