#!/bin/sh
# Fifty parleys on one machine: from `config apply` to rules in force on all, p99 at most 1 s.
cd "$(dirname "$0")/../.." || exit 1
FLEET_STRICT=1 FLEET_NODES=50 FLEET_APPLIES=10 exec tests/integration/run_policy_fleet.py
