"""What can be installed, a module each, with a function install."""
