"""What every forked process of a test finds ready: loaded last by the server that forks them.

The types of the catalogue are made once instead of in each process; and what is there by now is no
longer looked at by the collector, so that a fork goes on sharing it instead of copying it.
"""

import gc

import api.serving  # noqa: F401 - a service imports it when it is to serve
from ledger.catalogue import CATALOGUE

for _type in CATALOGUE.registrations():
    _type.registration()
gc.collect()
gc.freeze()
