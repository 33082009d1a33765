"""The command lines of the databases."""

import argparse
import sys


class Commands:
    """The commands of manage.py. Each is a function that takes the options."""

    def __init__(self):
        self.parser = argparse.ArgumentParser(prog="manage.py")
        self.commands = self.parser.add_subparsers(metavar="COMMAND", required=True)

    def add(self, function):
        """Add the command that a function is named after; return the parser of its options."""
        command = self.commands.add_parser(function.__name__, help=function.__doc__, description=function.__doc__)
        command.set_defaults(run=function)
        return command

    def run(self, args):
        """Run the command of a command line; end with what it cannot do, if there is anything."""
        options = self.parser.parse_args(args)
        try:
            options.run(options)
        except (OSError, ValueError) as e:
            sys.exit(f"{options.run.__name__}: {e}")
