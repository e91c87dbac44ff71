"""`python -m tests.load`: load by hand, and the audit of what was acknowledged."""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import sys
from pathlib import Path

from tests.load.generator import Generator
from tests.load.http import Broken, Client
from tests.load.outcome import Outcomes
from tests.load.workload import USUAL, Workload


def main() -> int:
    """Exit code 0 if every request was answered rightly and nothing acknowledged was lost, else 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__)
    parser.add_argument("--address", required=True, help="address of the balancer")
    parser.add_argument("--name", default="balancer1", help="name in its certificate (default: balancer1)")
    parser.add_argument("--ca", type=Path, required=True, help="file of the authority it was signed by")
    parser.add_argument("--seconds", type=float, default=30)
    usual = " ".join(f"{kind}={rate:g}" for kind, rate in USUAL.items())
    parser.add_argument(
        "--rate", nargs="+", default=usual.split(), metavar="KIND=PER_SECOND", help=f"default: {usual}"
    )
    chosen = parser.parse_args()
    try:
        rates = {kind: float(rate) for kind, rate in (word.split("=") for word in chosen.rate)}
        if unknown := rates.keys() - USUAL.keys():
            parser.error(f"there is no kind {', '.join(unknown)}; there are: {', '.join(USUAL)}")
    except ValueError:
        parser.error("--rate takes KIND=PER_SECOND, such as ask=5")
    try:
        return asyncio.run(_run(Client(chosen.address, chosen.name, chosen.ca), chosen.seconds, rates))
    except (Broken, OSError) as error:
        print(f"load: {error}", file=sys.stderr)
        return 1


async def _run(client: Client, seconds: float, rates: dict[str, float]) -> int:
    workload = Workload(client, secrets.token_hex(3))
    await workload.prepare()
    generator = Generator(workload.acts(rates))
    running = asyncio.create_task(generator.run())
    await asyncio.sleep(seconds)
    generator.stop()
    await running
    outcomes = Outcomes(generator.outcomes)
    await workload.ledger.settle(client)
    audit = await workload.ledger.audit(client, patience=120)
    await client.close()
    found = {
        "requests": outcomes.summary(),
        "troubles": outcomes.troubles(),
        "audit": {name: getattr(audit, name) for name in audit.__slots__},
    }
    print(json.dumps(found, indent=2))
    return 0 if audit.clean and outcomes.share_ok() == 1 else 1


sys.exit(main())
