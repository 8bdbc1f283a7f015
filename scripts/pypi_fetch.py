"""Fetch one named file of a Python package, as it is, without building anything.

    pypi_fetch.py PACKAGE FILE DESTINATION

`pip download` runs a source archive's build backend for its metadata, which is
slow, needs compilers and fails where the build does. Only the archive is wanted
here, so this asks pip's own finder (with the machine's own pip configuration)
which files the package has and lets pip download the one whose name matches.
The caller checks the SHA-256. It knows the pip pinned in deps/python-pip.txt.
"""

import sys

from pip._internal.commands.download import DownloadCommand
from pip._internal.network.download import Downloader


def main() -> int:
    package, wanted, destination = sys.argv[1:]
    command = DownloadCommand("download", "fetch one file by name")
    with command.main_context():
        options, _ = command.parse_args([])
        session = command.get_default_session(options)
        finder = command._build_package_finder(options, session)
        for candidate in finder.find_all_candidates(package):
            if candidate.link.filename == wanted:
                Downloader(session, "off")(candidate.link, destination)
                return 0
    print(f"package {package} has no file {wanted} for this Python and machine", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
