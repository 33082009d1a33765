"""Files that daemons read while we write them."""

import os


def replace(path, text, mode=0o644):
    """Write a file whole or not at all; return whether it is another than before."""
    try:
        with open(path) as file:
            if file.read() == text:
                return False
    except FileNotFoundError:
        pass
    new = path + ".new"
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with open(descriptor, "w") as file:
        os.fchmod(descriptor, mode)
        file.write(text)
    os.rename(new, path)
    return True
