"""Our own scripts for Meta-World tasks that metaworld's policies solve too rarely; one task a file."""
