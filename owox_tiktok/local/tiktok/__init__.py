"""A simulated TikTok Marketing API v1.3 that runs on this machine.

It answers over real HTTP with data that follow from a seed, refuses what TikTok refuses in the
same words, limits the rate of calls, and fails on demand::

    world = World(seed=1, advertisers=3, ads=60, hidden_kinds=True)
    faults = Faults(at=(Fault("row_gone", "report/integrated/get", page=2),))
    with serve(world, limits=Limits(qps=10), faults=faults) as server:
        requests.get(server.url + "user/info/", headers={"Access-Token": server.token})

:mod:`.oracle` tells what a loader must end up with. :class:`World` says what there is, :class:`Limits` how many
calls are taken, :class:`Faults` what goes wrong, and :class:`Rules` which side is taken where TikTok's sources
disagree.
"""

from owox_tiktok.local.tiktok import oracle
from owox_tiktok.local.tiktok.faults import KINDS, ON_REQUEST, Fault, Faults
from owox_tiktok.local.tiktok.limits import Limits
from owox_tiktok.local.tiktok.server import Server, run, serve
from owox_tiktok.local.tiktok.switches import Rules
from owox_tiktok.local.tiktok.world import World

__all__ = ["KINDS", "ON_REQUEST", "Fault", "Faults", "Limits", "Rules", "Server", "World", "oracle", "run", "serve"]
