"""Commands that get, and end, an access token."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from owox_tiktok.cli.common import end, guarded
from owox_tiktok.cli.interruption import INTERRUPTION, How
from owox_tiktok.cli.lazy import lazily
from owox_tiktok.cli.options import examples
from owox_tiktok.secret import Secret

if TYPE_CHECKING:
    from owox_tiktok import retry
    from owox_tiktok.terminal import Screen
    from owox_tiktok.tiktok import client, login
else:
    retry = lazily("owox_tiktok.retry")
    client = lazily("owox_tiktok.tiktok.client")
    login = lazily("owox_tiktok.tiktok.login")


@click.group()
def auth() -> None:
    """Get an access token, or revoke one.

    First the address to open, then the code for the token.
    """


@auth.command("url", epilog=examples("auth url --app-id 7123 --redirect-uri https://example.com/back"))
@click.option("--app-id", envvar="TIKTOK_APP_ID", required=True, help="The developer app [TIKTOK_APP_ID].")
@click.option("--redirect-uri", required=True, help="The redirect address set in the developer app.")
def auth_url(app_id: str, redirect_uri: str) -> None:
    """Print the address at which access is granted.

    An advertiser opens it, ticks ad accounts, and confirms.
    """
    state = secrets.token_urlsafe(24)
    click.echo("Open this address, tick the ad accounts, and confirm:\n", err=True)
    click.echo(login.authorisation_url(app_id, state, redirect_uri))
    click.echo(
        f"\nTikTok then opens {redirect_uri}?auth_code=…&state=…  Continue only if state is {state}\n"
        "and exchange the code within an hour:  owox-tiktok auth exchange",
        err=True,
    )


@auth.command("exchange", epilog=examples("auth exchange --app-id 7123 --output token.env"))
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

    def work(screen: Screen) -> int:
        with _private_file(output) if output else nullcontext() as file:
            secret = _ask("TIKTOK_APP_SECRET", "App secret")
            code = _ask("TIKTOK_AUTH_CODE", "Auth code")
            with INTERRUPTION.taken(How.AFTER_THIS):  # a code works only once, so its token must not be lost
                granted = login.exchange(_app_api(secret), app_id, secret, code)
                if file:
                    file.write(f"TIKTOK_ACCESS_TOKEN={granted.token.reveal()}\n")
                    file.flush()
                else:
                    click.echo(granted.token.reveal())
        if output:
            click.echo(f"Wrote the token to {output}.", err=True)
        if granted.advertiser_ids:
            click.echo(f"It covers the ad accounts {', '.join(granted.advertiser_ids)}.", err=True)
        else:
            click.echo(
                "It covers no ad account: none was ticked, or the user has access to none. Authorise again.", err=True
            )
            return 3
        return 0

    guarded(work, how=How.BY_EXCEPTION, interrupted="interrupted before a token was asked for.")


@contextmanager
def _private_file(path: Path) -> Iterator[TextIO]:
    """Open a new file that only its owner can read, before the code is spent; it is removed if nothing is written."""
    try:
        file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8")
    except FileExistsError:
        end(f"{path} already exists. Choose another file.")
    except OSError as error:
        end(f"{path} cannot be written ({error.strerror}). Choose another file.")
    try:
        with file:
            yield file
    finally:
        if not path.stat().st_size:
            path.unlink()


@auth.command("revoke", epilog=examples("auth revoke --app-id 7123"))
@click.option("--app-id", envvar="TIKTOK_APP_ID", required=True, help="The developer app [TIKTOK_APP_ID].")
def auth_revoke(app_id: str) -> None:
    """Revoke an access token for good.

    For instance, one that others have seen. The app's secret comes from TIKTOK_APP_SECRET and the token from
    TIKTOK_ACCESS_TOKEN, or both are asked for.
    """

    def work(screen: Screen) -> int:
        secret = _ask("TIKTOK_APP_SECRET", "App secret")
        token = _ask("TIKTOK_ACCESS_TOKEN", "Access token to revoke")
        login.revoke(_app_api(secret), app_id, secret, token)
        click.echo("The token is revoked.", err=True)
        return 0

    guarded(work, how=How.BY_EXCEPTION, interrupted="interrupted. Run it again unless it said that it is revoked.")


def _ask(variable: str, prompt: str) -> Secret:
    return Secret(os.environ.get(variable) or click.prompt(prompt, hide_input=True, err=True))


def _app_api(secret: Secret) -> client.TikTok:
    return client.TikTok(client.base_url(False), Secret(""), retry.Pace(1.0), app=client.App("", secret))
