"""What hands submissions to the worker nodes."""

from installer import service


def install():
    service("masternode", "Submissions for worker nodes", after="postgresql.service concours.service")
