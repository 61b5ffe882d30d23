"""``tff-affect worker``: serve a cohort from where it lies, and make the certificates that this takes."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tff_affect.commands.shared import AsJson, print_rows
from tff_affect.errors import InputError

if TYPE_CHECKING:
    from tff_affect.workers.certificates import Certificate

worker_app = typer.Typer(
    help="Serve a cohort from the machine it lies on, to a driver elsewhere.", no_args_is_help=True
)
cert_app = typer.Typer(help="Make the certificates of workers and drivers.", no_args_is_help=True)
worker_app.add_typer(cert_app, name="cert")

AuthorityFolder = Annotated[Path, typer.Argument(help="The authority's folder.")]
Days = Annotated[int, typer.Option("--days", min=1, max=36500, help="Days for which the certificate is good.")]
Rotate = Annotated[bool, typer.Option("--rotate", help="Replace the certificate and key that are there.")]


@worker_app.command("serve", short_help="Serve a cohort, or some of its subjects.")
def worker_serve(
    cohort: Annotated[Path, typer.Argument(help="The cohort's folder on this machine.")],
    listen: Annotated[str, typer.Option("--listen", help="HOST:PORT that drivers connect to.")],
    certificates: Annotated[
        Path | None, typer.Option("--certificates", help="The worker's folder of certificates.")
    ] = None,
    subjects: Annotated[str | None, typer.Option("--subjects", help="Serve these alone, separated by commas.")] = None,
    subjects_file: Annotated[
        Path | None, typer.Option("--subjects-file", help="Serve the subjects in this file alone, one a line.")
    ] = None,
    isolation: Annotated[
        str, typer.Option("--isolation", help="auto, namespace or none: a network of its own for what computes.")
    ] = "auto",
    plain_loopback: Annotated[
        bool, typer.Option("--plain-loopback", help="Go without TLS; to drivers of this machine alone.")
    ] = False,
    memory_mark: Annotated[
        float | None,
        typer.Option("--memory-mark", help="GB beyond which what computes is replaced; default half of what is free."),
    ] = None,
    concurrent: Annotated[
        int, typer.Option("--concurrent", min=0, help="Clients computed at the same time; 0 is one for each core.")
    ] = 0,
) -> None:
    """Serve a cohort, or some of its subjects: a driver's computations come here, the data stay.

    A driver sees its subjects' names, groups and frame counts, and the results that it asks for; whoever holds a
    driver's certificate may ask for anything. Ends with Ctrl-C or SIGTERM.

    Example: tff-affect worker serve cohorts/mine --listen 0.0.0.0:8470 --certificates certificates/ward-a
    """
    if (certificates is None) != plain_loopback:
        raise InputError("expected either --certificates DIR or --plain-loopback")
    if memory_mark is not None and not 0 < memory_mark < 1e6:
        raise InputError(f"--memory-mark: expected GB above 0, found {memory_mark:g}")
    wanted = _subjects(subjects, subjects_file)
    from tff_affect.workers.service import ServiceConfig, serve

    mark = None if memory_mark is None else int(memory_mark * 1e9)
    config = ServiceConfig(cohort, listen, certificates, wanted, isolation, mark, concurrent)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        serve(config, lambda line: print(line, flush=True))
    except KeyboardInterrupt:
        logging.getLogger(__name__).info("the worker has ended")


def _subjects(names: str | None, file: Path | None) -> Sequence[str] | None:
    if names is not None and file is not None:
        raise InputError("expected --subjects or --subjects-file, found both")
    if file is not None:
        try:
            found = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise InputError("expected a readable UTF-8 file with a subject a line", file=file) from error
    elif names is not None:
        found = [name.strip() for name in names.split(",")]
    else:
        return None
    wanted = [name for name in found if name]
    if not wanted:
        raise InputError("expected at least one subject, found none", file=file)
    return wanted


@cert_app.command("authority")
def cert_authority(folder: AuthorityFolder, days: Days = 3650, rotate: Rotate = False, as_json: AsJson = False) -> None:
    """Make an authority, which signs certificates. Its key stays in the folder: copy it nowhere.

    Example: tff-affect worker cert authority certificates
    """
    from tff_affect.workers.certificates import make_authority

    _said(make_authority(folder, days, rotate), folder, as_json)


@cert_app.command("worker", short_help="Make a worker's certificate and key in FOLDER/NAME.")
def cert_worker(
    folder: AuthorityFolder,
    name: Annotated[str, typer.Option("--name", help="The worker's name.")],
    address: Annotated[
        list[str], typer.Option("--address", help="Host name or IP address by which drivers reach it; repeatable.")
    ],
    days: Days = 90,
    rotate: Rotate = False,
    as_json: AsJson = False,
) -> None:
    """Make a worker's certificate and key in FOLDER/NAME: to be copied to the worker, whole.

    A worker that is serving takes up new files by itself.

    Example: tff-affect worker cert worker certificates --name ward-a --address ward-a.example.org
    """
    from tff_affect.workers.certificates import make_worker

    _said(make_worker(folder, name, address, days, rotate), folder, as_json)


@cert_app.command("driver", short_help="Make a driver's certificate and key in FOLDER/driver.")
def cert_driver(folder: AuthorityFolder, days: Days = 90, rotate: Rotate = False, as_json: AsJson = False) -> None:
    """Make a driver's certificate and key in FOLDER/driver: to be named in hosts.yaml.

    Example: tff-affect worker cert driver certificates
    """
    from tff_affect.workers.certificates import make_driver

    _said(make_driver(folder, days, rotate), folder, as_json)


@cert_app.command("show")
def cert_show(
    folder: Annotated[Path, typer.Argument(help="An authority's, worker's or driver's folder.")],
    as_json: AsJson = False,
) -> None:
    """Show the certificates in a folder, and how long they are good.

    Example: tff-affect worker cert show certificates --json
    """
    from tff_affect.workers.certificates import find

    rows = [_row(found, folder) for found in find(folder)]
    print_rows(rows if as_json else [_text(row) for row in rows], as_json)


def _row(found: Certificate, folder: Path) -> dict[str, Any]:
    return {
        "kind": found.kind,
        "name": found.name,
        "addresses": list(found.addresses),
        "until": f"{found.until:%Y-%m-%d}",
        "days_left": found.days_left,
        "file": str(found.file.relative_to(folder)),
    }


def _text(row: dict[str, Any]) -> dict[str, str]:
    left = str(row["days_left"]) if row["days_left"] >= 0 else "expired"
    texts = {"kind": row["kind"], "name": row["name"], "addresses": " ".join(row["addresses"])}
    return texts | {"good until": row["until"], "days left": left}


def _said(made: Certificate, folder: Path, as_json: bool) -> None:
    if as_json:
        print(json.dumps(_row(made, folder), indent=1))
        return
    print(
        f"{made.file}: {made.kind}{f' {made.name}' if made.kind == 'worker' else ''}, good until {made.until:%Y-%m-%d}"
    )
