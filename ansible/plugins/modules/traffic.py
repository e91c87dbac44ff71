#!/usr/bin/python
"""Take an API host out of the load balancer, and let it in again, by what it says on /readyz."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: traffic
short_description: Take an API host out of the load balancer, and let it in again, by what it says on /readyz
description:
  - While a file lies in the folder, the host says that nothing should be sent to it; that outlives a restart.
  - Each who drains has a file of his own, so that nobody lets in what another one has taken out.
  - C(drained) ends when no request came for a while and none is under way, or when the time for that is over.
  - C(answering) waits until the wanted release answers, whole, drained or not.
options:
  state: {type: str, required: true, choices: [drained, answering, resumed], description: What is wanted.}
  folder: {type: path, required: true, description: The folder.}
  name: {type: str, default: "", description: Who drains; a file name.}
  url: {type: str, required: true, description: "Where the host's API answers, such as https://api1:8443."}
  ca: {type: path, required: true, description: The authority that is trusted.}
  notice: {type: float, default: 3, description: Seconds after which every balancer has seen it.}
  quiet: {type: float, default: 1, description: Seconds without a request after which none is expected.}
  seconds: {type: float, default: 30, description: "The longest wait, for requests under way or an answer."}
  release: {type: str, default: "", description: "For C(answering): the store path that /version names."}
  unit: {type: str, default: "", description: "For C(answering): the unit whose death ends the wait."}
author: [The knowledge assistant]
"""
EXAMPLES = """
- name: Out of the balancer
  traffic:
    state: drained
    folder: /etc/knowledge-assistant/drained
    name: operator
    url: https://api1:8443
    ca: /etc/knowledge-assistant/tls/knowledge-assistant/ca.crt
"""
RETURN = """
seconds: {type: float, returned: always, description: How long it took.}
under_way: {type: int, returned: drained, description: Requests that did not end in time.}
"""
SPEC: dict[str, dict[str, Any]] = {
    "state": {"type": "str", "required": True, "choices": ["drained", "answering", "resumed"]},
    "folder": {"type": "path", "required": True},
    "name": {"type": "str", "default": ""},
    "url": {"type": "str", "required": True},
    "ca": {"type": "path", "required": True},
    "notice": {"type": "float", "default": 3.0},
    "quiet": {"type": "float", "default": 1.0},
    "seconds": {"type": "float", "default": 30.0},
    "release": {"type": "str", "default": ""},
    "unit": {"type": "str", "default": ""},
}
PAUSE = 0.1
PATIENCE = 10.0


class Api:
    """What a host's API says of itself."""

    def __init__(self, url: str, ca: str) -> None:
        self._place = urlsplit(url)
        self._tls = ssl.create_default_context(cafile=ca)

    def get(self, path: str) -> dict[str, Any]:
        """The JSON of an answer, whatever its status; raises OSError or ValueError when there is none."""
        connection = http.client.HTTPSConnection(
            str(self._place.hostname), self._place.port, timeout=PATIENCE, context=self._tls
        )
        try:
            connection.request("GET", path)
            found: dict[str, Any] = json.loads(connection.getresponse().read())
        except http.client.HTTPException as error:
            raise ValueError(type(error).__name__) from error
        finally:
            connection.close()
        return found


def drain(wanted: dict[str, Any], api: Api) -> dict[str, Any]:
    """Say so, then wait until nothing comes and nothing is under way."""
    file = Path(wanted["folder"]) / wanted["name"]
    changed = not file.exists()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    begun = time.monotonic()
    notice = begun + (wanted["notice"] if changed else 0)
    under_way = 0
    while time.monotonic() < begun + wanted["seconds"]:
        try:
            answer = api.get("/readyz")
        except (OSError, ValueError):  # it serves nobody
            under_way = 0
            break
        # a release of the time before these fields were there says neither
        under_way = answer.get("under_way", 0)
        if time.monotonic() > notice and answer.get("idle_seconds", wanted["quiet"]) >= wanted["quiet"]:
            break
        time.sleep(PAUSE)
    return {"changed": changed, "seconds": round(time.monotonic() - begun, 1), "under_way": under_way}


def await_answer(module: AnsibleModule, api: Api) -> dict[str, Any]:
    """Until the release answers with all that questions need."""
    begun = time.monotonic()
    while True:
        lacking = _lacking(module, api)
        seconds = round(time.monotonic() - begun, 1)
        if not lacking:
            return {"changed": False, "seconds": seconds}
        if time.monotonic() > begun + module.params["seconds"]:
            module.fail_json(msg=f"It is not ready after {seconds} s: {lacking}", seconds=seconds)
        _, state, _ = module.run_command(["systemctl", "show", "-P", "NRestarts", module.params["unit"]])
        if int(state.strip() or 0) > 1:
            msg = f"{module.params['unit']} does not start: it ended again and again."
            module.fail_json(msg=msg, seconds=seconds)
        time.sleep(PAUSE)


def _lacking(module: AnsibleModule, api: Api) -> str:
    """What is not as it should be, or nothing."""
    try:
        closure = api.get("/version")["closure"]
        parts = api.get("/readyz")["parts"]
    except (OSError, ValueError, KeyError) as error:
        return f"it does not answer ({error})"
    if module.params["release"] not in ("", closure):
        return f"/version names {closure}"
    return "; ".join(
        f"{part}: {state}" for part, state in parts.items() if state != "ok" and part != "service"
    )


def resume(wanted: dict[str, Any]) -> dict[str, Any]:
    """Take the own wish back."""
    file = Path(wanted["folder"]) / wanted["name"]
    changed = file.exists()
    file.unlink(missing_ok=True)
    return {"changed": changed, "seconds": 0.0}


def main() -> None:
    """Ansible's entry."""
    module = AnsibleModule(argument_spec=SPEC)
    wanted = module.params
    api = Api(wanted["url"], wanted["ca"])
    acts = {
        "drained": lambda: drain(wanted, api),
        "answering": lambda: await_answer(module, api),
        "resumed": lambda: resume(wanted),
    }
    module.exit_json(**acts[wanted["state"]]())


if __name__ == "__main__":
    main()
