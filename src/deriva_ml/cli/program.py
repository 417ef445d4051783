"""How a command line ends: with a result, a usage error, or one line that says what went wrong."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from deriva_ml import heap

INTERRUPTED = 130


def program(
    name: str,
    description: str,
    add_arguments: Callable[[argparse.ArgumentParser], None],
    command: Callable[[argparse.Namespace], int],
    argv: Sequence[str] | None,
    failed: int = 1,
) -> int:
    """Run a command under a name of its own; returns its exit status.

    Parameters
    ----------
    name : str
        Of the program.
    description : str
        What its help starts with.
    add_arguments : callable
        Adds its arguments to a parser.
    command : callable
        Takes the parsed arguments.
    argv : sequence of str, optional
        Without the name of the program; `sys.argv` by default.
    failed : int
        Exit status when an error ends it.
    """
    parser = argparse.ArgumentParser(prog=name, description=description)
    add_arguments(parser)
    return ended(name, failed, lambda: command(parser.parse_args(argv)))


def ended(name: str, failed: int, call: Callable[[], int]) -> int:
    """Exit status of a call; errors of this library and of the disk are told in one line.

    Parameters
    ----------
    name : str
        Starts the line.
    failed : int
        Exit status after such an error.
    call : callable
    """
    # Here, so that --help stays instant.
    from deriva_ml.errors import DerivaMLException

    try:
        with heap.unsearched():
            return int(call() or 0)
    except BrokenPipeError:
        # The reader of our output went away; that is no failure.
        sys.stderr.close()
        return 0
    except (DerivaMLException, OSError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return failed
    except KeyboardInterrupt as error:
        # Notes say what became of a run.
        print("\n".join(["interrupted", *getattr(error, "__notes__", [])]), file=sys.stderr)
        return INTERRUPTED


def command_parser(program: str, help: str, *, allow_abbrev: bool = True) -> argparse.ArgumentParser:
    """Parser of a command, still without arguments."""
    return argparse.ArgumentParser(
        prog=program, description=f"{help[0].upper()}{help[1:]}.", allow_abbrev=allow_abbrev
    )
