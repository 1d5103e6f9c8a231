"""Commands that get, and end, an access token."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from owox_tiktok.cli.common import end, guarded

if TYPE_CHECKING:
    from owox_tiktok.secret import Secret
    from owox_tiktok.terminal import Screen
    from owox_tiktok.tiktok.client import TikTok


@click.group()
def auth() -> None:
    """Get an access token: first the address to open, then the code for the token."""


@auth.command("url")
@click.option("--app-id", envvar="TIKTOK_APP_ID", required=True, help="The developer app [TIKTOK_APP_ID].")
@click.option("--redirect-uri", required=True, help="The redirect address set in the developer app.")
def auth_url(app_id: str, redirect_uri: str) -> None:
    """Print the address at which an advertiser grants the app access."""
    import secrets

    from owox_tiktok.tiktok.login import authorisation_url

    state = secrets.token_urlsafe(24)
    click.echo("Open this address, tick the ad accounts, and confirm:\n", err=True)
    click.echo(authorisation_url(app_id, state, redirect_uri))
    click.echo(
        f"\nTikTok then opens {redirect_uri}?auth_code=…&state=…  Go on only if state is {state}\n"
        "and exchange the code within an hour:  owox-tiktok auth exchange",
        err=True,
    )


@auth.command("exchange")
@click.option("--app-id", envvar="TIKTOK_APP_ID", required=True, help="The developer app [TIKTOK_APP_ID].")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Write TIKTOK_ACCESS_TOKEN=… to this file, readable by you alone. Without it the token is printed once to a "
    "terminal, or alone on standard output to a pipe.",
)
def auth_exchange(app_id: str, output: Path | None) -> None:
    """Exchange the auth code for an access token.

    The app's secret comes from TIKTOK_APP_SECRET and the code from TIKTOK_AUTH_CODE, or both are asked for; neither is
    taken from the command line, where other users of the machine could read it.
    """
    from owox_tiktok.tiktok.login import exchange

    def work(screen: Screen) -> int:
        secret = _ask("TIKTOK_APP_SECRET", "App secret")
        granted = exchange(_app_api(secret), app_id, secret, _ask("TIKTOK_AUTH_CODE", "Auth code"))
        if file:
            with file:
                file.write(f"TIKTOK_ACCESS_TOKEN={granted.token.reveal()}\n")
            click.echo(f"Wrote the token to {output}.", err=True)
        else:
            click.echo(granted.token.reveal())
        if granted.advertiser_ids:
            click.echo(f"It covers the ad accounts {', '.join(granted.advertiser_ids)}.", err=True)
        else:
            click.echo(
                "It covers no ad account: none was ticked, or the user has access to none. Authorise again.", err=True
            )
            return 3
        return 0

    file = None
    if output:
        # Opened before the code is spent: it works only once.
        try:
            file = os.fdopen(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8")
        except FileExistsError:
            end(f"{output} is there already. Name another file.")
        except OSError as error:
            end(f"{output} cannot be written ({error.strerror}). Name another file.")
    try:
        guarded("text", work)
    finally:
        if file and output and not output.stat().st_size:
            file.close()
            output.unlink()


@auth.command("revoke")
@click.option("--app-id", envvar="TIKTOK_APP_ID", required=True, help="The developer app [TIKTOK_APP_ID].")
def auth_revoke(app_id: str) -> None:
    """End an access token for good, for instance one that was seen by others.

    The app's secret comes from TIKTOK_APP_SECRET and the token from TIKTOK_ACCESS_TOKEN, or both are asked for.
    """
    from owox_tiktok.tiktok.login import revoke

    def work(screen: Screen) -> int:
        secret = _ask("TIKTOK_APP_SECRET", "App secret")
        token = _ask("TIKTOK_ACCESS_TOKEN", "Access token to revoke")
        revoke(_app_api(secret), app_id, secret, token)
        click.echo("The token is revoked.", err=True)
        return 0

    guarded("text", work)


def _ask(variable: str, prompt: str) -> Secret:
    from owox_tiktok.secret import Secret

    return Secret(os.environ.get(variable) or click.prompt(prompt, hide_input=True, err=True))


def _app_api(secret: Secret) -> TikTok:
    from owox_tiktok.retry import Pace
    from owox_tiktok.secret import Secret
    from owox_tiktok.tiktok.client import TikTok, base_url

    return TikTok(base_url(False), Secret(""), Pace(1.0), app_secret=secret)
