"""The stories a forged dump can tell, by name."""

from tests.forge.scenarios import chain, irp, manual, nolock, seed
from tests.forge.scenarios.story import Scenario

SCENARIOS: dict[str, Scenario] = {
    "seed": seed.build,
    "chain": chain.build,
    "deadlock": manual.deadlock,
    "nolock": nolock.fault,
    "nolock-7e": nolock.system_thread,
    "decoys": manual.decoys,
    "shared": manual.shared,
    "any-of": manual.any_of,
    "all-of": manual.all_of,
    "irp": irp.build,
}
