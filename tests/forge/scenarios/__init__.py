"""The stories a forged dump can tell, by name."""

from tests.forge.scenarios import seed
from tests.forge.scenarios.story import Scenario

SCENARIOS: dict[str, Scenario] = {
    "seed": seed.build,
}
