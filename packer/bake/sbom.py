"""The software bill of materials: CycloneDX 1.6 as JSON (https://cyclonedx.org/docs/1.6/json/)."""

import uuid
from typing import Any
from urllib.parse import quote


def document(manifest: dict[str, Any], python: list[tuple[str, str]], release: str) -> dict[str, Any]:
    """Debian packages, Python packages of the closure, and the closure's store paths.

    The serial number follows from the image's checksum, so the same image has the same document.
    """
    components = [_debian(one) for one in manifest["packages"]]
    components += [_python(name, version) for name, version in python]
    components += [_store_path(one) for one in manifest["closure"]["paths"]]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, manifest['sha256'])}",
        "version": 1,
        "metadata": {
            "timestamp": manifest["made"],
            "component": {
                "type": "operating-system",
                "bom-ref": "image",
                "name": "knowledge-assistant",
                "version": release,
                "hashes": [{"alg": "SHA-256", "content": manifest["sha256"]}],
            },
        },
        "components": components,
    }


def _debian(package: dict[str, str]) -> dict[str, Any]:
    name, version, architecture = package["name"], package["version"], package["architecture"]
    purl = f"pkg:deb/debian/{quote(name)}@{quote(version, safe='')}?arch={architecture}&distro=debian-13"
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "purl": purl,
    }
    if "source" in package:
        found["properties"] = [{"name": "debian:source", "value": package["source"]}]
    return found


def _python(name: str, version: str) -> dict[str, Any]:
    purl = f"pkg:pypi/{quote(name)}@{quote(version, safe='')}"
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def _store_path(part: dict[str, Any]) -> dict[str, Any]:
    name = part["path"].removeprefix("/nix/store/").split("-", 1)[1]
    return {
        "type": "file",
        "bom-ref": part["path"],
        "name": name,
        "properties": [
            {"name": "nix:store_path", "value": part["path"]},
            {"name": "nix:nar_hash", "value": part["nar_hash"]},
        ],
    }
