#!/bin/sh
# Restarts of every application and every parley, again and again for two minutes under 2000
# requests a second: zero failed requests, every POST exactly once (as root, in namespaces).
cd "$(dirname "$0")/../.." || exit 2
exec tests/integration/run_rolling.py --rate 2000 --connections 64 --seconds 120
