"""One real run: open the edges, plan, run, report. The command line and any other surface call only this.

    common        which part of the settings is meant, TikTok's API, its accounts
    imports       one import
    steered       … that a Sheet steers
    plans         what an import would do
    checks        whether everything an import needs is there
    freshness     how fresh what is stored is
    upkeep        prune, reset and forget
    proofs        whether what is stored equals TikTok's totals
    afterwards    … checked after each import, as far as its share of requests goes
    explaining    what a number in Ads Manager is, and what TikTok said when
    report_views  the views to report on

Everything a surface may pass in comes as arguments: settings, ``now``, a listener for events. No surface is known here.
"""

from owox_tiktok.app.checks import Checked, check, folded
from owox_tiktok.app.common import PACE_STORE, PACE_WEIGHT, Selection, amount_of, backfill_range, connect, only, unless
from owox_tiktok.app.explaining import Explained, Said, explain, history
from owox_tiktok.app.freshness import Freshness, Standing, status
from owox_tiktok.app.imports import Part, import_
from owox_tiktok.app.plans import MEASURED, Measured, Planned, accounts, measure, plan
from owox_tiktok.app.proofs import Verified, verify
from owox_tiktok.app.report_views import Viewed, views
from owox_tiktok.app.steered import import_sheet, open_sheet, verify_sheet
from owox_tiktok.app.upkeep import Forgotten, forget, prune_, reset

__all__ = [
    "MEASURED",
    "PACE_STORE",
    "PACE_WEIGHT",
    "Checked",
    "Explained",
    "Forgotten",
    "Freshness",
    "Measured",
    "Part",
    "Planned",
    "Said",
    "Selection",
    "Standing",
    "Verified",
    "Viewed",
    "accounts",
    "amount_of",
    "backfill_range",
    "check",
    "connect",
    "explain",
    "folded",
    "forget",
    "history",
    "import_",
    "import_sheet",
    "measure",
    "only",
    "open_sheet",
    "plan",
    "prune_",
    "reset",
    "status",
    "unless",
    "verify",
    "verify_sheet",
    "views",
]
