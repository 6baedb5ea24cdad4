"""The figures of the report: matrices of transfer, tables of similarity, recovered maps."""
