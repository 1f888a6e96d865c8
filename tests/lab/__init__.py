"""A live cluster for tests and measurements: namespaces, databases, clients, and the programs that change releases."""
