"""The tests; a package, so that they find `tests.support`, and no other package of that name."""
