"""`ringline app-check`: what an app's files lack to ring."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from app.appcheck.check import check
from app.appcheck.contents import read_file
from app.appcheck.findings import AppFileError, Level, Report
from app.appcheck.ios import Expected
from app.cli.answers import answer, command
from app.cli.base import app, fail, now, out
from app.cli.faults import REFUSED
from app.cli.files import line_in
from app.core.app_id import app_id_of
from app.core.text import clean_name
from app.credentials.files.reading import read as read_credential
from app.credentials.files.refusals import reject
from app.infra.errors import AppError

MARKS = {
    Level.MISSING: "[bold red]missing[/]",
    Level.WARNING: "[yellow]warning[/]",
    Level.GOOD: "[green]good[/]   ",
}
File = Annotated[
    Path, typer.Argument(exists=True, help=".ipa, .app, Info.plist, .apk or AndroidManifest.xml.")
]
Entitlements = Annotated[
    Path | None,
    typer.Option(
        exists=True, dir_okay=False, help="Beside an Info.plist: .entitlements or .mobileprovision."
    ),
]
AppId = Annotated[str | None, typer.Option(help="What its tokens are registered for.")]
Credential = Annotated[
    Path | None,
    typer.Option(
        exists=True, dir_okay=False, help="A certificate or .p8 key: does it fit this app?"
    ),
]
PasswordFile = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="A file that holds the credential's password."),
]


@command(app, "app-check")
def app_check(
    file: File, entitlements: Entitlements = None, app_id: AppId = None,
    credential: Credential = None, password_file: PasswordFile = None,
) -> None:  # fmt: skip
    """Say what an app's own files lack to ring, and how to mend it; status 1 if something does.

    Nothing is sent anywhere, and no server is needed.
    """
    if app_id is not None and app_id_of(app_id) is None:
        fail(f"--app-id: {reject('app_id_malformed').detail}", code="app_id_malformed")
    try:
        expected = _expected(app_id, credential, password_file)
        report = check(file, expected, entitlements, now())
    except AppFileError as error:
        fail(f"{file.name}: {clean_name(str(error))}", code="unreadable_app")
    answer(_data(report), lambda: _say(report))
    if not report.rings:
        raise typer.Exit(REFUSED)


def _expected(app_id: str | None, credential: Path | None, password_file: Path | None) -> Expected:
    if credential is None:
        return Expected(app_id)
    password = line_in(password_file) if password_file else None
    try:
        # a .p8 does not say which key of which team it is, and an app is not asked for that
        anyone = {"key_id": "AAAAAAAAAA", "team_id": "AAAAAAAAAA"}
        found = read_credential(read_file(credential), password, **anyone, now=now())
    except AppError as error:
        fail(f"{credential.name}: {error.detail}", code=error.code)
    return Expected(app_id, found.kind, found.app_id, found.environments)


def _data(report: Report) -> dict[str, object]:
    findings = [
        {"code": one.code, "level": one.level, "sentence": one.sentence, "mend": one.mend}
        for one in report.findings
    ]
    return {"kind": report.kind, "rings": report.rings, "facts": report.facts, "findings": findings}


def _say(report: Report) -> None:
    for level in Level:
        for one in report.of(level):
            out.print(f"{MARKS[level]}  {escape(clean_name(one.sentence))}", soft_wrap=True)
            if one.mend is not None:
                out.print(f"         {escape(clean_name(one.mend))}", soft_wrap=True)
    missing = sum(1 for _ in report.of(Level.MISSING))
    out.print("Nothing is missing." if not missing else f"{missing} missing: it will not ring.")
