#!/bin/bash
# manuals.sh FILE... - mandoc has nothing to say against the manual pages. Skipped (77)
# where mandoc is not installed.
command -v mandoc >/dev/null || exit 77
exec mandoc -Tlint -Wwarning "$@"
