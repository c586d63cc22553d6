"""The benchmark: Headgate beside MLflow as people run it today, on one machine.

`python -m bench` (or `make bench`) starts each system in turn on a copy of the same seeded
store, measures it, and prints one table. A system is one module in `systems/`, a measure one
in `measures/`; `run` plays every measure on every system, `report` makes the table. To add
either, write its module and name it in the `__init__` of its package.
"""
