"""The demonstration as it is seen: a site that stays, or one chain in the terminal."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from conveyor_site.demo import words
from conveyor_site.demo.accounts import ensure_admin
from conveyor_site.demo.fresh import POLITE
from conveyor_site.demo.lock import Lock
from conveyor_site.demo.picture import picture_of
from conveyor_site.demo.ports import PORT, choose_port, is_free
from conveyor_site.demo.repositories import (
    Repository,
    make_repositories,
    merge_a_change,
    require_git,
)
from conveyor_site.demo.site import Site, import_products, prepare_database
from conveyor_site.following import follow
from products.errors import UserError
from runs.chains import chain_of
from runs.models import BeltRun


class NotFreshError(UserError):
    """The data folder has seen the demonstration already."""

    code = "demo.not-fresh"

    def __init__(self) -> None:
        super().__init__(
            "The demonstration already ran in this data folder. Set CONVEYOR_DATA_DIR to a new "
            "folder, or leave out --here."
        )


#: Takes one line of text, without its end.
Write = Callable[[str], object]


def run_site(write: Write, port: int | None = None) -> None:
    """Run a site until interrupted (SIGINT, SIGTERM, SIGHUP), and end all of it then.

    On its first start it makes an administrator, three products and a merge that travels through
    them. ``port`` is the one to serve on; without it ``choose_port`` finds one. Raises
    ConveyorError for what keeps it from running.
    """
    with _locked() as lock, _interrupted_by_signals():
        try:
            _run_site(lock, write, port)
        except KeyboardInterrupt:
            write("Conveyor has ended.")


def _run_site(lock: Lock, write: Write, port: int | None) -> None:
    write("Conveyor is starting.")
    require_git()
    site = Site(choose_port(port))
    if port is None and site.port != PORT and not is_free(PORT):
        write(f"Port {PORT} is taken, so the site uses port {site.port}.")
    write("Preparing the database ...")
    prepare_database()
    password = ensure_admin()
    write("Preparing the example products ...")
    repositories = make_repositories()
    import_products(repositories)
    write("Starting an orchestrator and a runner ...")
    with site.living():
        _stay(site, lock, write, password=password, upstream=repositories[0])


def _stay(
    site: Site, lock: Lock, write: Write, *, password: str | None, upstream: Repository
) -> None:
    try:
        site.start()
        lock.say(site.url)
        _write_all(write, words.welcome(site, password))
        if upstream.is_untouched():
            _make_first_merge(site, upstream, write)
        _write_all(write, words.what_to_do(upstream))
        site.parts.wait_for_ever()
    except KeyboardInterrupt:
        _write_all(write, words.ending(len(site.running_attempts())))
        raise


def _make_first_merge(site: Site, upstream: Repository, write: Write) -> None:
    site.wait_until_seen(upstream)
    commit = merge_a_change(upstream)
    write(f"A change was merged into {upstream.name} just now, by plain git: commit {commit[:8]}.")
    run = site.run_of(upstream, commit)
    write(f"See it travel: {site.url}{run.get_absolute_url()}")
    follow(run.id, _without_logs(write))
    _write_all(write, ["", words.CHAIN, "", *picture_of(run), ""])


def _write_all(write: Write, lines: Iterable[str]) -> None:
    for line in lines:
        write(line)


def _without_logs(write: Write) -> Write:
    """Return a writer that leaves the lines of logs out."""

    def write_ends(line: str) -> None:
        if " | " not in line:
            write(f"  {line}")

    return write_ends


def show_chain(write: Write) -> bool:
    """Show one merge travelling through the products; return whether all of it succeeded.

    Runs a site of its own in the data folder, which should be a fresh one, and ends it. Raises
    ConveyorError for what keeps it from running, and KeyboardInterrupt.
    """
    with _locked(), _interrupted_by_signals():
        require_git()
        prepare_database()
        repositories = make_repositories()
        if not repositories[0].is_untouched():
            raise NotFreshError
        import_products(repositories)
        site = Site(choose_port())
        with site.living():
            write("Starting an orchestrator and a runner.")
            site.start()
            return _show_merge(site, repositories, write)


def _show_merge(site: Site, repositories: Sequence[Repository], write: Write) -> bool:
    for repository in repositories:
        site.wait_until_seen(repository)
    commit = merge_a_change(repositories[0])
    write(f"A change is merged into {repositories[0].name} by plain git: commit {commit[:8]}.\n")
    run = site.run_of(repositories[0], commit)
    succeeded = follow(run.id, write)
    _write_all(write, ["", words.CHAIN, "", *picture_of(run)])
    return succeeded and _reached(run) == {each.name for each in repositories}


def _reached(run: BeltRun) -> set[str]:
    """Return the products to which a run has led, with its own."""
    return {link.run.belt.product.name for link in chain_of(run, BeltRun.objects.all())}


@contextmanager
def _locked() -> Iterator[Lock]:
    lock = Lock()
    try:
        yield lock
    finally:
        lock.release()


@contextmanager
def _interrupted_by_signals() -> Iterator[None]:
    """Have the polite signals interrupt as Ctrl-C does."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in POLITE}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
